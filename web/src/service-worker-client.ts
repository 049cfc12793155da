/**
 * The page's side of the service worker: registers it, and reloads once where that brings threads.
 *
 * Knows nothing of what is kept or how.
 */

const RELOADED = "tea-isolation-reload";
const PATIENCE_MS = 10_000;

export interface ServiceWorkerOptions {
  /** Where the worker is served; its folder is what it serves offline. */
  readonly url?: string | URL;
  /** Get COOP and COEP from the worker where the server doesn't set them. */
  readonly isolate?: boolean;
}

/** What came of it: `reloading` means that this page ends here, and comes back with threads. */
export type ServiceWorkerOutcome = "active" | "reloading" | "unsupported";

/** Make the site work offline, and threads on a static host. Never fails: without it the page works online, on one thread. */
export async function startServiceWorker(options: ServiceWorkerOptions = {}): Promise<ServiceWorkerOutcome> {
  const workers = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker;
  if (!workers || !isSecureContext) return "unsupported";
  const url = new URL(options.url ?? "service-worker.js", document.baseURI);
  const lacksThreads = options.isolate !== false && !crossOriginIsolated;
  // A worker that brings the threads of this very visit must stay what it is.
  const isIsolating = workers.controller?.scriptURL.endsWith("?isolate") ?? false;
  if (lacksThreads || isIsolating) url.search = "?isolate";
  try {
    const scope = new URL("./", url).pathname;
    // Some browsers' guards answer a registration with nothing at all.
    const registration = (await workers.register(url, { scope, updateViaCache: "none" })) as unknown;
    if (!registration) return "unsupported";
    if (lacksThreads && !isReloaded() && (await isControlled(workers))) {
      // Once: a browser that refuses the headers would reload for ever.
      sessionStorage.setItem(RELOADED, "1");
      location.reload();
      return "reloading";
    }
    return "active";
  } catch {
    return "unsupported";
  }
}

/**
 * Let the worker keep the site for offline use; call it when the page has loaded. Resolves with whether all of it is kept.
 */
export async function keepOffline(): Promise<boolean> {
  const workers = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker;
  if (!workers || !isSecureContext || !(await isControlled(workers))) return false;
  const active = workers.controller;
  if (!active) return false;
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => {
      resolve(data === true);
    };
    active.postMessage("keep", [port2]);
  });
}

function isReloaded(): boolean {
  try {
    return sessionStorage.getItem(RELOADED) !== null;
  } catch {
    // No storage, no memory of the reload: then there must be none.
    return true;
  }
}

/** Whether a worker answers for this page, now or soon. A worker that never starts must not keep the page waiting. */
function isControlled(workers: ServiceWorkerContainer): Promise<boolean> {
  if (workers.controller) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS, false);
    workers.addEventListener(
      "controllerchange",
      () => {
        clearTimeout(timer);
        resolve(true);
      },
      { once: true },
    );
  });
}
