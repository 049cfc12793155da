// The model cache in Firefox ESR. A stock Firefox takes no orders from Playwright, so the page drives itself and tells
// its server what came of it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { manifestOf, noise, serve } from "../server.js";
import { bundle, main, scenario } from "./browser.js";

const FIREFOX = process.env.TEA_FIREFOX ?? "/usr/bin/firefox-esr";
const MODEL = noise(900_000);
const CHUNK = 128 * 1024;
const PATIENCE_MS = 200_000;
const QUIET = ["app.update.enabled", "network.captive-portal-service.enabled", "network.connectivity-service.enabled"];

const page = (stores) => `<!doctype html><meta charset="utf-8"><title>cache</title><script type="module">
import { ModelCache } from "./cache.js";
const told = {};
const open = async (name) => {
  const cache = await ModelCache.open({ stores: ${JSON.stringify(stores)} });
  const notices = [];
  const model = await cache.openModel("m.json", { onNotice: (sentence) => notices.push(sentence) });
  const bytes = await new Blob(model.blobs).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  model.close();
  const { fetchedBytes, repairedChunks } = model;
  told[name] = { sha256, fetchedBytes, repairedChunks, notices, store: (await cache.status()).store };
};
const poison = async () => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("tea-models");
  for await (const folder of root.values()) for await (const [name, file] of folder.entries()) {
    if (!name.startsWith("c-")) continue;
    const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
    bytes[5] ^= 1;
    const writable = await file.createWritable();
    await writable.write(bytes);
    await writable.close();
    return;
  }
};
try {
  await open("miss");
  await open("hit");
  if (told.hit.store === "opfs") {
    await poison();
    await open("mended");
  }
  told.isolated = crossOriginIsolated;
} catch (error) {
  told.failed = String(error.stack ?? error);
}
await fetch("told", { headers: { "x-told": encodeURIComponent(JSON.stringify(told)) } });
</script>`;

async function inFirefox(after, stores) {
  const { document, files } = manifestOf(MODEL, { name: "m.gguf", chunkBytes: CHUNK });
  let tell;
  const told = new Promise((resolve) => (tell = resolve));
  const server = after(
    await serve({
      files: {
        "/index.html": page(stores),
        "/cache.js": await bundle("src/cache/index.ts"),
        "/m.json": JSON.stringify(document),
        "/m.gguf": files["m.gguf"],
      },
      fault: ({ path, headers }) => {
        if (path === "/told") tell(JSON.parse(decodeURIComponent(headers["x-told"])));
        return undefined;
      },
    }),
  );
  const profile = mkdtempSync(join(tmpdir(), "tea-firefox-"));
  const prefs = QUIET.map((name) => `user_pref("${name}", false);`);
  writeFileSync(join(profile, "user.js"), [...prefs, 'user_pref("services.settings.server", "");'].join("\n"));
  const child = spawn(FIREFOX, ["--headless", "--no-remote", "--profile", profile, `${server.url}/index.html`], {
    stdio: "ignore",
    env: { ...process.env, HOME: profile },
  });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  after({
    async close() {
      child.kill();
      await gone;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  });
  const result = await Promise.race([told, sleep(PATIENCE_MS, { failed: "the page told nothing" }, { ref: false })]);
  assert.equal(result.failed, undefined);
  for (const name of ["miss", "hit"]) assert.equal(result[name].sha256, document.sha256);
  assert.equal(result.miss.fetchedBytes, MODEL.length);
  assert.equal(result.hit.fetchedBytes, 0);
  return { ...result, sha256: document.sha256 };
}

scenario(
  "a model is kept in Firefox's file system, found again, and mended where a byte was poisoned",
  async ({ after }) => {
    const { hit, mended, sha256 } = await inFirefox(after, ["opfs", "indexeddb", "memory"]);
    assert.equal(hit.store, "opfs");
    assert.equal(mended.sha256, sha256);
    assert.equal(mended.repairedChunks.length, 1);
    assert.ok(mended.fetchedBytes <= CHUNK);
  },
);

scenario("a model is kept in Firefox's IndexedDB and found again", async ({ after }) => {
  const { hit } = await inFirefox(after, ["indexeddb", "memory"]);
  assert.equal(hit.store, "indexeddb");
});

await main();
