/**
 * The page's side of the service worker: registers it, and reloads once where that brings threads.
 *
 * Knows nothing of what is kept or how.
 */

const RELOADED = "tea-isolation-reload";

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
    await workers.register(url, { scope: new URL("./", url).pathname, updateViaCache: "none" });
    if (lacksThreads && !isReloaded()) {
      await controlled(workers);
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
  if (!workers || !(await workers.getRegistration())) return false;
  const { active } = await workers.ready;
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

function controlled(workers: ServiceWorkerContainer): Promise<void> {
  if (workers.controller) return Promise.resolve();
  return new Promise((resolve) => {
    workers.addEventListener(
      "controllerchange",
      () => {
        resolve();
      },
      { once: true },
    );
  });
}
