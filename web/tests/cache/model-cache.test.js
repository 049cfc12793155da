// The cache's rules over a real server, in memory; the stores of real browsers are tried in e2e/.
/* global AbortController, Blob, setTimeout */
import { Buffer } from "node:buffer";
import { afterEach, expect, test } from "vitest";
import { MemoryStore } from "../../src/cache/blob-store.ts";
import { ModelCache } from "../../src/cache/model-cache.ts";
import { manifestOf, noise, serve } from "../server.js";

const bytes = noise(300_000);
let server;
afterEach(() => server?.close());

async function start(options = {}, model = {}) {
  const { document, files } = manifestOf(bytes, model);
  const paths = Object.fromEntries(Object.entries(files).map(([path, data]) => [`/${path}`, data]));
  server = await serve({ files: { ...paths, "/m.json": JSON.stringify(document) }, ...options });
  return { cache: await ModelCache.open({ stores: ["memory"] }), url: `${server.url}/m.json`, document };
}

async function contents(model) {
  return Buffer.concat(await Promise.all(model.blobs.map(async (blob) => Buffer.from(await blob.arrayBuffer()))));
}

async function expectWhole(model) {
  expect((await contents(model)).equals(bytes)).toBe(true);
}

const given = () => server.bytes(/gguf/);

test("a model is fetched once and found the second time", async () => {
  const { cache, url } = await start({}, { parts: 3 });
  await expectWhole(await cache.openModel(url));
  expect(given()).toBe(bytes.length);
  const again = await cache.openModel(url);
  await expectWhole(again);
  expect([given(), again.fetchedBytes, again.cachedBytes]).toEqual([bytes.length, 0, bytes.length]);
});

test("progress never goes backwards and ends at the whole", async () => {
  const { cache, url } = await start();
  const seen = [];
  await cache.openModel(url, { onProgress: (progress) => seen.push(progress) });
  const loaded = seen.map((progress) => progress.loadedBytes);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  expect(loaded.at(-1)).toBe(bytes.length);
  expect([...new Set(seen.map((progress) => progress.phase))]).toEqual(["waiting", "verifying", "downloading"]);
});

test("a broken line is taken up at the byte where it broke", async () => {
  const { cache, url } = await start({
    fault: ({ path }, n) => (path === "/model.gguf" && n < 3 ? { cutAfter: 80_000 } : undefined),
  });
  await expectWhole(await cache.openModel(url));
  expect(given()).toBeLessThan(bytes.length + 4 * 65536);
  expect(server.log.filter((row) => row.range).length).toBeGreaterThan(0);
});

test("a server that ignores ranges is taken as it is", async () => {
  const { cache, url } = await start({
    fault: ({ path }, n) =>
      path === "/model.gguf" ? { ignoreRange: true, ...(n === 0 ? { cutAfter: 80_000 } : {}) } : undefined,
  });
  await expectWhole(await cache.openModel(url));
});

test("a busy server is asked again when it says so", async () => {
  const { cache, url } = await start({
    fault: ({ path }, n) =>
      path === "/model.gguf" && n === 0 ? { status: 503, headers: { "retry-after": "0" } } : undefined,
  });
  await expectWhole(await cache.openModel(url));
});

test("a model that isn't there is said to be so, at once", async () => {
  const { cache, url } = await start({ fault: ({ path }) => (path === "/model.gguf" ? { status: 404 } : undefined) });
  await expect(cache.openModel(url)).rejects.toThrow(
    /model\.gguf: the server answered 404.*; check the model's address/,
  );
});

test("a byte that changed on the way is fetched again", async () => {
  const { cache, url } = await start({
    fault: ({ path }, n) => (path === "/model.gguf" && n === 0 ? { flip: 70_000 } : undefined),
  });
  await expectWhole(await cache.openModel(url));
  expect(given()).toBe(bytes.length + 65536);
});

test("a server whose model isn't the manifest's is found out, and what is sound stays", async () => {
  const { cache, url } = await start({ fault: ({ path }) => (path === "/model.gguf" ? { flip: 70_000 } : undefined) });
  const error = await cache.openModel(url).catch((thrown) => thrown);
  expect(error.name).toBe("DigestMismatch");
  expect(error.message).toMatch(/chunk 1 differs from the manifest/);
  server.state.fault = () => undefined;
  const model = await cache.openModel(url);
  await expectWhole(model);
  expect(model.cachedBytes).toBeGreaterThanOrEqual(65536);
});

test("an aborted load throws AbortError and goes on where it was", async () => {
  const { cache, url } = await start({ bytesPerS: 1_000_000 });
  const abort = new AbortController();
  const onProgress = ({ loadedBytes }) => loadedBytes > 150_000 && abort.abort();
  await expect(cache.openModel(url, { signal: abort.signal, onProgress })).rejects.toThrow(
    expect.objectContaining({ name: "AbortError" }),
  );
  const before = given();
  const model = await cache.openModel(url);
  await expectWhole(model);
  expect(given() - before).toBeLessThanOrEqual(bytes.length - 150_000);
});

test("a new version fetches the chunks that are new", async () => {
  const { cache, url } = await start();
  await cache.openModel(url).then((model) => model.close());
  const changed = Buffer.from(bytes);
  changed[299_999] ^= 1;
  const next = manifestOf(changed, { version: "2" });
  server.state.files.set("/model.gguf", changed).set("/m.json", JSON.stringify(next.document));
  const model = await cache.openModel(url);
  expect((await contents(model)).equals(changed)).toBe(true);
  expect(model.fetchedBytes).toBe(bytes.length % 65536);
  const [kept] = (await cache.status()).models;
  expect([kept.version, kept.cachedBytes, kept.complete]).toEqual(["2", bytes.length, true]);
});

test("a model without a manifest is known by its ETag", async () => {
  const { cache } = await start();
  const url = `${server.url}/model.gguf`;
  await expectWhole(await cache.openModel(url));
  await expectWhole(await cache.openModel(url));
  expect(given()).toBe(bytes.length);
  const changed = noise(250_000, 9);
  server.state.files.set("/model.gguf", changed);
  expect((await contents(await cache.openModel(url))).equals(changed)).toBe(true);
});

test("without a server the cached model opens, and an unknown one is a sentence", async () => {
  const { cache, url } = await start();
  (await cache.openModel(url)).close();
  const { url: base } = server;
  await server.close();
  const notices = [];
  await expectWhole(await cache.openModel(url, { onNotice: (sentence) => notices.push(sentence) }));
  expect(notices[0]).toBe("the server can't be reached: the model of the cache is used");
  await expect(cache.openModel(`${base}/other.json`)).rejects.toThrow(/isn't in the cache; go online once to load it/);
});

test("two loads of one model at once share one download", async () => {
  const { cache, url } = await start({ bytesPerS: 3_000_000 });
  const models = await Promise.all([cache.openModel(url), cache.openModel(url)]);
  await Promise.all(models.map(expectWhole));
  expect(given()).toBe(bytes.length);
});

test("the model used longest ago makes way within the page's limit", async () => {
  const { url, document } = await start();
  const cache = await ModelCache.open({ stores: ["memory"], limitBytes: 700_000 });
  for (const model of ["one", "two"]) {
    const copy = { ...document, model };
    (await cache.openModel(copy, { modelBasePath: server.url })).close();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  (await cache.openModel(url)).close();
  expect((await cache.status()).models.map((model) => model.source)).toEqual([url, "model:two"]);
});

test("a model larger than the limit still loads, and says so", async () => {
  const { url } = await start();
  const cache = await ModelCache.open({ stores: ["memory"], limitBytes: 150_000 });
  const notices = [];
  await expectWhole(await cache.openModel(url, { onNotice: (sentence) => notices.push(sentence) }));
  expect(notices.join()).toMatch(/the rest of the model is kept in memory/);
});

test("a cleared model is gone", async () => {
  const { cache, url } = await start();
  const model = await cache.openModel(url);
  model.close();
  expect(await cache.clear(url)).toBe(1);
  expect((await cache.status()).models).toEqual([]);
});

test("useCache: false keeps nothing", async () => {
  const { cache, url } = await start();
  await expectWhole(await cache.openModel(url, { useCache: false }));
  expect((await cache.status()).models).toEqual([]);
});

test("a memory store gives back what it was given", async () => {
  const store = new MemoryStore();
  await store.put("a", "x", new Blob(["1"]));
  expect(await (await store.get("a", "x")).text()).toBe("1");
  await store.removeFolder("a");
  expect(await store.folders()).toEqual([]);
});
