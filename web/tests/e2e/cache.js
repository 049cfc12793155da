// The model cache on the storage of a real browser.
/* global indexedDB, navigator */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { manifestOf, noise, serve } from "../server.js";
import { bundle, main, openBrowser, scenario } from "./browser.js";

const MODEL = noise(900_000);
const CHUNK = 128 * 1024;
const PAGE = `<!doctype html><meta charset="utf-8"><title>cache</title><script type="module">
import { ModelCache } from "./cache.js";
const stores = JSON.parse(new URLSearchParams(location.search).get("stores") ?? '["opfs","indexeddb","memory"]');
const limitBytes = Number(new URLSearchParams(location.search).get("limit") ?? Infinity);
window.cache = await ModelCache.open({ stores, limitBytes });
window.kept = [];
window.load = async (url, { keep = false, ...options } = {}) => {
  const notices = [], started = performance.now();
  const model = await window.cache.openModel(url, { ...options, onNotice: (s) => notices.push(s), onProgress: (p) => (window.progress = p) });
  const ms = performance.now() - started;
  const bytes = new Uint8Array(await new Blob(model.blobs).arrayBuffer());
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  if (keep) window.kept.push(model); else model.close();
  const { cachedBytes, fetchedBytes, repairedChunks } = model;
  return { ms, sum, size: bytes.length, cachedBytes, fetchedBytes, repairedChunks, notices };
};
window.files = async () => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("tea-models");
  const found = [];
  for await (const [folder, dir] of root.entries()) for await (const [name, file] of dir.entries()) found.push({ folder, name, size: (await file.getFile()).size });
  return found;
};
window.ready = true;
</script>`;

function checksum(bytes) {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}

const code = await bundle("src/cache/index.ts");

async function site(after, { model = {}, ...options } = {}) {
  const server = after(await serve({ files: { "/index.html": PAGE, "/cache.js": code }, ...options }));
  publish(server, MODEL, "m", model);
  return server;
}

function publish(server, bytes, name, model = {}) {
  const { document, files } = manifestOf(bytes, { name: `${name}.gguf`, chunkBytes: CHUNK, ...model });
  for (const [path, data] of Object.entries(files)) server.state.files.set(`/${path}`, data);
  server.state.files.set(`/${name}.json`, JSON.stringify(document));
}

async function visit(browser, server, query = "") {
  const page = await browser.open(`${server.url}/index.html${query}`);
  await page.waitForFunction("window.ready");
  return page;
}

const load = (page, url = "m.json", options = {}) => page.evaluate(([u, o]) => window.load(u, o), [url, options]);

function assertWhole(result, bytes = MODEL) {
  assert.equal(result.size, bytes.length);
  assert.equal(result.sum, checksum(bytes), "the bytes differ");
}

/** Wait for something that the page finds out asynchronously. */
async function until(look) {
  for (let tries = 0; tries < 300; tries++) {
    if (await look()) return;
    await sleep(50);
  }
  throw new Error(`it never came true: ${look}`);
}

const given = (server) => server.bytes(/gguf/);

scenario(
  "a model is fetched once, and found more than ten times faster after the browser was closed",
  async ({ after }) => {
    const server = await site(after, { bytesPerS: 120_000, model: { parts: 3 } });
    const browser = after(await openBrowser());
    const miss = await load(await visit(browser, server));
    assertWhole(miss);
    await browser.restart();
    const hit = await load(await visit(browser, server));
    assertWhole(hit);
    assert.equal(given(server), MODEL.length);
    assert.ok(hit.ms * 10 < miss.ms, `hit ${hit.ms} ms, miss ${miss.ms} ms`);
    assert.deepEqual(browser.strangers, []);
  },
);

scenario("a poisoned byte is found and its chunk alone is fetched again", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await load(page);
  await page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("tea-models");
    const chunks = (await window.files()).filter((file) => file.name.startsWith("c-"));
    const { folder, name } = chunks[0];
    const file = await (await root.getDirectoryHandle(folder)).getFileHandle(name);
    const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
    bytes[77] ^= 4;
    const writable = await file.createWritable();
    await writable.write(bytes);
    await writable.close();
  });
  const before = given(server);
  const again = await load(page);
  assertWhole(again);
  assert.equal(again.repairedChunks.length, 1);
  assert.match(again.notices[0], /chunk \d of the cached model was damaged and is fetched again/);
  assert.ok(given(server) - before <= CHUNK);
});

scenario("a chunk and a whole model that the browser evicted are fetched again", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await load(page);
  await page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("tea-models");
    const { folder, name } = (await window.files()).find((file) => file.name.startsWith("c-"));
    await (await root.getDirectoryHandle(folder)).removeEntry(name);
  });
  const one = await load(page);
  assertWhole(one);
  assert.ok(one.fetchedBytes <= CHUNK && one.fetchedBytes > 0);
  await page.evaluate(async () =>
    (await navigator.storage.getDirectory()).removeEntry("tea-models", { recursive: true }),
  );
  const all = await load(await visit(browser, server));
  assertWhole(all);
  assert.equal(all.fetchedBytes, MODEL.length);
});

scenario("a new version of a model takes the old one's place", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await load(page);
  const changed = Uint8Array.from(MODEL);
  changed[500_000] ^= 1;
  publish(server, changed, "m", { version: "2" });
  const next = await load(page);
  assertWhole(next, changed);
  assert.equal(next.fetchedBytes, CHUNK);
  const chunks = (await page.evaluate(() => window.files())).filter((file) => file.name.startsWith("c-"));
  assert.equal(
    chunks.reduce((sum, file) => sum + file.size, 0),
    changed.length,
  );
});

scenario("a closed tab's download goes on inside the chunk", async ({ after }) => {
  const server = await site(after, { bytesPerS: 400_000, model: { chunkBytes: 4 * 1024 * 1024 } });
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  void load(page).catch(() => undefined);
  const hasPiece = () =>
    window.files().then((files) => files.some((file) => file.name.startsWith("p-") && file.size > 0));
  await until(() => page.evaluate(hasPiece).catch(() => false)); // A file may go while they are listed.
  await page.close();
  server.state.bytesPerS = 0;
  const next = await visit(browser, server);
  const rest = await load(next);
  assertWhole(rest);
  const ranges = server.log.filter((row) => row.range).map((row) => Number(/\d+/.exec(row.range)[0]));
  assert.equal(ranges.length, 1);
  assert.ok(ranges[0] > 200_000, `it began again at byte ${ranges[0]}`);
});

async function setQuota(browser, page, server, quotaSize) {
  const session = await browser.context.newCDPSession(page);
  await session.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize });
}

scenario("a quota that ends in mid-write leaves a model that works, and a sentence", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  // The browser promises more than it gives, so that the end comes while a chunk is being written.
  await page.evaluate(() => (navigator.storage.estimate = () => Promise.resolve({ usage: 0, quota: 1e9 })));
  await setQuota(browser, page, server, 400_000);
  const model = await load(page);
  assertWhole(model);
  assert.match(model.notices.join("; "), /the browser's storage is full: the rest of the model is kept in memory/);
  const kept = await load(page);
  assertWhole(kept);
  assert.equal(kept.fetchedBytes, 0, "what is in memory serves this page");
});

scenario("a quota that is too small makes the model used longest ago go first", async ({ after }) => {
  const server = await site(after);
  for (const [name, seed] of [
    ["a", 11],
    ["b", 12],
    ["c", 13],
  ])
    publish(server, noise(900_000, seed), name);
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await setQuota(browser, page, server, 2_400_000);
  for (const name of ["a", "b", "a", "c"]) {
    assertWhole(await load(page, `${name}.json`), noise(900_000, { a: 11, b: 12, c: 13 }[name]));
    await sleep(5);
  }
  const { models } = await page.evaluate(() => window.cache.status());
  assert.deepEqual(
    models.map((model) => model.model),
    ["c", "a"],
  );
});

scenario("two tabs at once share one download", async ({ after }) => {
  const server = await site(after, { bytesPerS: 1_000_000 });
  const browser = after(await openBrowser());
  const pages = await Promise.all([visit(browser, server), visit(browser, server)]);
  const results = await Promise.all(pages.map((page) => load(page)));
  results.forEach((result) => assertWhole(result));
  assert.equal(given(server), MODEL.length);
});

scenario("a tab that is closed while it downloads lets the waiting one go on", async ({ after }) => {
  const server = await site(after, { bytesPerS: 400_000 });
  const browser = after(await openBrowser());
  const first = await visit(browser, server);
  const second = await visit(browser, server);
  void load(first).catch(() => undefined);
  await first.waitForFunction(() => window.progress?.loadedBytes > 300_000);
  const waiting = load(second);
  await first.close();
  assertWhole(await waiting);
});

scenario("a model that one tab is reading is neither cleared nor evicted by another", async ({ after }) => {
  const server = await site(after);
  publish(server, noise(900_000, 5), "other");
  const browser = after(await openBrowser());
  const reader = await visit(browser, server);
  await load(reader, "m.json", { keep: true });
  const other = await visit(browser, server, "?limit=1000000");
  assert.equal(await other.evaluate(() => window.cache.clear()), 0);
  const crowded = await load(other, "other.json");
  assertWhole(crowded, noise(900_000, 5));
  assert.match(crowded.notices.join(), /kept in memory/);
  await reader.evaluate(() => window.kept.forEach((model) => model.close()));
  assertWhole(await load(reader));
  assert.equal(await other.evaluate(() => window.cache.clear("m.json")), 1);
});

scenario("IndexedDB serves where the file system can't be written", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const init = () => (window.FileSystemFileHandle.prototype.createWritable = undefined);
  await browser.context.addInitScript(init);
  assertWhole(await load(await visit(browser, server)));
  await browser.restart();
  await browser.context.addInitScript(init);
  const page = await visit(browser, server);
  assert.equal((await page.evaluate(() => window.cache.status())).store, "indexeddb");
  const hit = await load(page);
  assertWhole(hit);
  assert.equal(hit.fetchedBytes, 0);
  await page.evaluate(
    () =>
      new Promise((resolve) => {
        indexedDB.open("tea-models").onsuccess = ({ target }) => {
          const blobs = target.result.transaction("blobs", "readwrite").objectStore("blobs");
          blobs.openCursor().onsuccess = ({ target: { result: cursor } }) => {
            if (!cursor.key[1].startsWith("c-")) return cursor.continue();
            const bad = new Uint8Array(cursor.value.size);
            cursor.update(new window.Blob([bad])).onsuccess = resolve;
          };
        };
      }),
  );
  const mended = await load(page);
  assertWhole(mended);
  assert.equal(mended.repairedChunks.length, 1);
});

scenario("memory serves where nothing can be kept, and says so", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  await browser.context.addInitScript(() => {
    navigator.storage.getDirectory = () => Promise.reject(new Error("a private window"));
    indexedDB.open = () => {
      throw new Error("a private window");
    };
  });
  const page = await visit(browser, server);
  const model = await load(page);
  assertWhole(model);
  assert.match(
    model.notices.join("; "),
    /file system can't be used here \(a private window\); IndexedDB can't .*; models are kept in memory/,
  );
});

scenario("a page over plain HTTP, without secure context, checks its model all the same", async ({ after }) => {
  const server = await site(after);
  const browser = after(
    await openBrowser({ args: ["--host-resolver-rules=MAP tea.test 127.0.0.1"], hosts: ["tea.test"] }),
  );
  const page = await visit(browser, { url: server.url.replace("127.0.0.1", "tea.test") });
  assert.equal(await page.evaluate(() => window.isSecureContext), false);
  assertWhole(await load(page));
  assert.equal((await page.evaluate(() => window.cache.status())).store, "indexeddb");
  const hit = await load(page);
  assertWhole(hit);
  assert.equal(hit.fetchedBytes, 0);
});

await main();
