// Figures of the web package in Debian's Chromium, as JSON: node bench/speed.js '{"rounds": 3, "cacheBytes": 1e9}'
//
// cold, warm: seconds from opening the page to an agent's first token, with nothing kept and with everything kept.
// decode: tokens a second of chatStream and of bare wllama, the same answers in turns. load: seconds of a model's first load
// and of one from the cache.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { manifestOf, noise, serve } from "../tests/server.js";
import { openBrowser, web } from "../tests/e2e/browser.js";

const { rounds = 3, cacheBytes = 1e9 } = JSON.parse(process.argv[2] ?? "{}");
const MODEL = readFileSync(join(web, "../src/the_edge_agent/store/embedded/tiny.gguf"));
const AGENT = readFileSync(join(web, "../examples/llm/hello-world.yaml"), "utf8");
const PROMPTS = ["What can you do?", "Who are you?", "How do I run an agent?", "What is The Edge Agent?"];
const START = `<!doctype html><meta charset="utf-8"><title>start</title><script type="module">
import { executeLlmYaml, initLlm, initTeaLlm } from "/dist/index.js";
const onEvent = (event) => { if (event.type === "token") window.first ??= performance.now(); };
await Promise.all([initLlm({ modelUrl: "/tiny.gguf" }), initTeaLlm()]);
await executeLlmYaml(${JSON.stringify(AGENT)}, {}, { watchTokens: true, keep: false, onEvent });
</script>`;
const DECODE = `<!doctype html><meta charset="utf-8"><title>decode</title><script type="module">
import { chatStream, initLlm } from "/dist/index.js";
import { Wllama } from "/node_modules/@wllama/wllama/esm/index.js";
const silent = () => undefined;
const bare = new Wllama({ default: "/dist/wllama.wasm" }, { logger: { debug: silent, log: silent, warn: silent, error: silent } });
bare.setCompat(null);
const blob = await (await fetch("/tiny.gguf")).blob();
await initLlm({ files: [blob] });
const { modelInfo } = await import("/dist/index.js");
const { nCtx, nThreads } = await modelInfo();
await bare.loadModel([blob], { n_ctx: nCtx, n_threads: nThreads, n_gpu_layers: 0, n_parallel: 1, warmup: false });
const ways = {
  async ours(prompt) {
    let tokens = 0;
    for await (const piece of chatStream(prompt)) tokens += piece.text ? 1 : 0;
    return tokens;
  },
  async bare(prompt) {
    let tokens = 0;
    const body = { messages: [{ role: "user", content: prompt }], temperature: 0, cache_prompt: false, stream: true };
    for await (const chunk of await bare.createChatCompletion(body)) tokens += chunk.choices[0]?.delta.content ? 1 : 0;
    return tokens;
  },
};
window.measure = async (way, prompts) => {
  const started = performance.now();
  let tokens = 0;
  for (const prompt of prompts) tokens += await ways[way](prompt);
  return (1000 * tokens) / (performance.now() - started);
};
window.ready = true;
</script>`;
const LOAD = `<!doctype html><meta charset="utf-8"><title>load</title><script type="module">
import { openModel } from "/dist/cache.js";
window.load = async () => {
  const started = performance.now();
  const model = await openModel("/big.json");
  const ms = performance.now() - started;
  model.close();
  return { seconds: ms / 1000, fetched: model.fetchedBytes };
};
window.ready = true;
</script>`;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function firstToken(browser, url) {
  const page = await browser.open(url);
  page.setDefaultTimeout(280_000);
  await page.waitForFunction("window.first");
  const seconds = (await page.evaluate("window.first")) / 1000;
  await page.close();
  return seconds;
}

async function starts(server) {
  const cold = [];
  const warm = [];
  for (let round = 0; round < rounds; round++) {
    const browser = await openBrowser();
    cold.push(await firstToken(browser, `${server.url}/start.html`));
    await browser.restart();
    warm.push(await firstToken(browser, `${server.url}/start.html`));
    await browser.close();
  }
  return { cold: median(cold), warm: median(warm) };
}

async function decode(server) {
  const browser = await openBrowser();
  const page = await browser.open(`${server.url}/decode.html`);
  page.setDefaultTimeout(280_000);
  await page.waitForFunction("window.ready");
  const measure = (way) => page.evaluate(([way, prompts]) => window.measure(way, prompts), [way, PROMPTS]);
  const found = { ours: [], bare: [] };
  for (const way of ["ours", "bare"]) await measure(way); // the compiler warms up
  for (let round = 0; round < rounds; round++) for (const way of ["ours", "bare"]) found[way].push(await measure(way));
  await browser.close();
  return { ours: Math.max(...found.ours), bare: Math.max(...found.bare) };
}

async function load(server) {
  const bytes = noise(cacheBytes);
  const { document, files } = manifestOf(bytes, { name: "big.gguf", parts: 8, chunkBytes: 8 << 20 });
  for (const [path, data] of Object.entries(files)) server.state.files.set(`/${path}`, data);
  server.state.files.set("/big.json", JSON.stringify(document));
  const browser = await openBrowser();
  const times = [];
  for (let turn = 0; turn < 2; turn++) {
    const page = await browser.open(`${server.url}/load.html`);
    page.setDefaultTimeout(280_000);
    await page.waitForFunction("window.ready");
    times.push(await page.evaluate("window.load()"));
    await page.close();
  }
  await browser.close();
  if (times[0].fetched !== cacheBytes || times[1].fetched !== 0) throw new Error(JSON.stringify(times));
  return { first: times[0].seconds, cached: times[1].seconds };
}

const server = await serve({
  root: web,
  files: { "/start.html": START, "/decode.html": DECODE, "/load.html": LOAD, "/tiny.gguf": MODEL },
});
try {
  console.log(JSON.stringify({ ...(await starts(server)), decode: await decode(server), load: await load(server) }));
} finally {
  await server.close();
}
