// Runs agents in a real browser and prints what they told: node tests/e2e/agents.js < job.json > told.json
//
// A job is {browser: "chromium" | "firefox", isolated, model, runs: [{yaml, input, answers}]}; what is told is {isolated,
// threads, strangers, runs: [{events, error}]}. The page fetches its job and posts what came of it, so that a browser needs
// no driver: any Firefox does.
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { setTimeout } from "node:timers";

const web = join(import.meta.dirname, "../..");
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const PATIENCE_MS = Number(process.env.TEA_WEB_PATIENCE_S ?? 700) * 1000;
const BINARIES = {
  chromium: process.env.TEA_CHROMIUM ?? "/usr/bin/chromium",
  firefox: process.env.TEA_FIREFOX ?? "/usr/bin/firefox-esr",
};
const PAGE = `<!doctype html><meta charset="utf-8"><title>agents</title><script type="module">
const post = (told) => fetch("/told", { method: "POST", body: JSON.stringify(told) });
try {
  const job = await (await fetch("/job")).json();
  const tea = await import("/dist/index.js");
  const [info] = await Promise.all([tea.initLlm({ modelUrl: "/model.gguf", useCache: false, ...job.llm }), tea.initTeaLlm()]);
  const runs = [];
  for (const { yaml, input, answers = [] } of job.runs) {
    const events = [], left = [...answers];
    const onQuestion = answers.length ? () => left.shift() : undefined;
    let error = null;
    await tea.executeLlmYaml(yaml, input, { onEvent: (event) => events.push(event), onQuestion }).catch((thrown) => {
      error = { name: thrown.name, message: thrown.message };
    });
    runs.push({ events, error });
  }
  await post({ isolated: crossOriginIsolated, threads: info.nThreads, nCtx: info.nCtx, runs });
} catch (error) {
  await post({ failed: String(error.stack ?? error) });
}
</script>`;

const job = JSON.parse(readFileSync(0, "utf8"));

/** The page, its job, the package and the model; resolves with what the page posts. */
function site() {
  let told;
  const done = new Promise((resolve) => (told = resolve));
  const server = http.createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    if (job.isolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
    }
    if (path === "/told") {
      const parts = [];
      request.on("data", (part) => parts.push(part));
      request.on("end", () => {
        response.end();
        told(JSON.parse(Buffer.concat(parts).toString("utf8")));
      });
      return;
    }
    if (path === "/" || path === "/job") {
      response.setHeader("content-type", path === "/" ? "text/html" : "application/json");
      response.end(path === "/" ? PAGE : JSON.stringify(job));
      return;
    }
    const file = path === "/model.gguf" ? job.model : join(web, path);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-length": statSync(file).size,
    });
    if (request.method === "HEAD") response.end();
    else createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve({ url: `http://127.0.0.1:${server.address().port}/`, done, server }));
  });
}

/** Every name but this machine's leads nowhere, and what is asked of it is told. */
async function chromium(url, profile) {
  const { chromium: engine } = await import("playwright-core");
  const context = await engine.launchPersistentContext(profile, {
    executablePath: BINARIES.chromium,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"],
  });
  const strangers = [];
  context.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (/^(http|ws)/.test(protocol) && host !== new URL(url).host) strangers.push(request.url());
  });
  await (await context.newPage()).goto(url);
  return { strangers, close: () => context.close() };
}

function firefox(url, profile) {
  const off = ["app.update.enabled", "network.captive-portal-service.enabled", "network.connectivity-service.enabled"];
  const prefs = off.map((name) => `user_pref("${name}", false);`);
  writeFileSync(join(profile, "user.js"), [...prefs, 'user_pref("services.settings.server", "");'].join("\n"));
  const child = spawn(BINARIES.firefox, ["--headless", "--no-remote", "--profile", profile, url], {
    stdio: "ignore",
    env: { ...process.env, HOME: profile },
  });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  return { strangers: null, close: () => (child.kill(), gone) };
}

const profile = mkdtempSync(join(tmpdir(), "tea-agents-"));
const { url, done, server } = await site();
const browser = await { chromium, firefox }[job.browser](url, profile);
const patience = new Promise((resolve) => {
  setTimeout(() => resolve({ failed: `nothing was told within ${PATIENCE_MS / 1000} s` }), PATIENCE_MS).unref();
});
const told = await Promise.race([done, patience]);
await browser.close();
server.closeAllConnections();
server.close();
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
process.stdout.write(JSON.stringify({ ...told, strangers: browser.strangers }));
if (told.failed) process.exitCode = 1;
