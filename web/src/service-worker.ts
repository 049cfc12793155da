/**
 * The site without a network, and with threads on hosts that can't set headers.
 *
 * Offline: everything that `site.json` lists is kept as one set, by its version. A set is used when it is whole, so pages
 * never mix two versions. It is gathered when a page says that it has loaded, lest the two share the line. Online, the
 * server's answer is always the one that counts. Models are no concern of this file: the model cache keeps them.
 *
 * Threads: registered as `service-worker.js?isolate`, it adds COOP and COEP to what it answers.
 */

interface SiteList {
  readonly version: string;
  /** Paths relative to this file. */
  readonly files: readonly string[];
}

interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface Told extends Extendable {
  readonly data: unknown;
  readonly ports: readonly MessagePort[];
}

interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

interface Scope {
  readonly location: Location;
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listen: (event: Extendable) => void): void;
  addEventListener(type: "message", listen: (event: Told) => void): void;
  addEventListener(type: "fetch", listen: (event: Fetching) => void): void;
}

const scope = globalThis as unknown as Scope;
const home = new URL("./", scope.location.href);
const isolate = new URL(scope.location.href).searchParams.has("isolate");
const LIST = new URL("site.json", home).href;
/** Written last into a set: a set without it was interrupted, and is gone on with. */
const WHOLE = new URL(".tea-whole", home).href;
const PREFIX = `tea-site:${home.pathname}:`;
/** A server that says nothing for this long is no server, where there is a kept answer. */
const PATIENCE_MS = 4_000;

scope.addEventListener("install", (event) => {
  event.waitUntil(scope.skipWaiting());
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(scope.clients.claim());
});

scope.addEventListener("message", (event) => {
  if (event.data !== "keep") return;
  event.waitUntil(
    keepSite().then((isWhole) => {
      event.ports[0]?.postMessage(isWhole);
    }),
  );
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const isOurs = url.origin === home.origin && url.pathname.startsWith(home.pathname);
  if (!isOurs || request.method !== "GET" || request.headers.has("range") || isModel(url)) return;
  event.respondWith(answer(request));
});

/** Files of models: gigabytes that the model cache keeps, in pieces. */
function isModel(url: URL): boolean {
  return /\.gguf(\.part\.\d+)?$/.test(url.pathname);
}

async function answer(request: Request): Promise<Response> {
  const kept = await findKept(request.url);
  let response: Response;
  try {
    response = await patiently(fetch(request), kept ? PATIENCE_MS : Infinity);
    if (response.status >= 500 && kept) response = kept;
  } catch (error) {
    if (!kept) throw error;
    response = kept;
  }
  return isolate ? isolated(response) : response;
}

async function findKept(address: string): Promise<Response | undefined> {
  const url = new URL(address);
  url.search = url.hash = "";
  for (const name of await keptSites()) {
    const found = await (await caches.open(name)).match(url.href);
    if (found) return found;
  }
  return undefined;
}

/** Whole sets, the newest first. */
async function keptSites(): Promise<string[]> {
  const whole: string[] = [];
  for (const name of (await caches.keys()).filter((entry) => entry.startsWith(PREFIX))) {
    if (await (await caches.open(name)).match(WHOLE)) whole.unshift(name);
  }
  return whole;
}

/** Keep the server's version of the site, if it has another one than we have; whether a whole one is kept then. */
async function keepSite(): Promise<boolean> {
  try {
    const response = await fetch(LIST, { cache: "no-cache" });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const list = (await response.json()) as SiteList;
    const name = PREFIX + list.version;
    if ((await keptSites()).includes(name)) return true;
    await gather(list, name);
    for (const other of await caches.keys()) if (other.startsWith(PREFIX) && other !== name) await caches.delete(other);
    return true;
  } catch (error) {
    // Offline is no failure.
    console.info("the site's newest version can't be kept:", error);
    return (await keptSites()).length > 0;
  }
}

async function gather(list: SiteList, name: string): Promise<void> {
  const cache = await caches.open(name);
  for (const path of new Set(["./", "site.json", ...list.files])) {
    const url = new URL(path, home).href;
    // What the page has just loaded comes from the browser's own cache, after asking whether it still holds.
    if (!(await cache.match(url))) await cache.add(new Request(url, { cache: "no-cache" }));
  }
  await cache.put(WHOLE, new Response("whole"));
}

/** The same answer with the headers that threads need. */
function isolated(response: Response): Response {
  if (response.type === "opaque" || response.type === "opaqueredirect" || response.type === "error") return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const body = response.status === 304 || response.status === 204 ? null : response.body;
  return new Response(body, { status: response.status, statusText: response.statusText, headers });
}

function patiently<T>(work: Promise<T>, ms: number): Promise<T> {
  if (ms === Infinity) return work;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`no answer after ${ms} ms`));
    }, ms);
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
    });
  });
}
