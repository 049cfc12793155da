// The site as `tea bundle web` makes it: the page, offline, with and without the headers for threads.
// The folder of a made site is in TEA_SITE.
/* global caches, crossOriginIsolated, localStorage */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { serve } from "../server.js";
import { main, openBrowser, scenario } from "./browser.js";

const SITE = process.env.TEA_SITE;
if (!SITE) throw new Error("TEA_SITE names no folder; make one with `tea bundle web --output FOLDER`");
const PATIENCE_MS = 150_000;

async function site(after, options = {}) {
  return after(await serve({ root: SITE, ...options }));
}

async function visit(browser, server, hash = "") {
  const page = await browser.open(`${server.url}/${hash}`);
  page.setDefaultTimeout(PATIENCE_MS);
  return page;
}

async function ready(page) {
  await page.waitForSelector('#fact-model[data-state="ready"]');
  await page.waitForSelector('#fact-engine[data-state="ready"]');
}

/** The page says so when all of it is kept. */
const keptWhole = (page) => page.waitForSelector("#fact-offline:not([hidden])");

/** Wait for what a page finds out asynchronously. */
async function until(look) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await look())) {
    if (Date.now() > end) throw new Error(`it never came true: ${look}`);
    await sleep(100);
  }
}

async function chat(page, text) {
  await page.fill("#chat-input", text);
  await page.keyboard.press("Enter");
  await page.waitForFunction(
    () => [...document.querySelectorAll(".bubble.assistant")].at(-1)?.querySelector(".figures, .error").textContent,
  );
  return page.evaluate(
    () => [...document.querySelectorAll(".bubble.assistant")].at(-1).querySelector(".text").textContent,
  );
}

async function runExample(page, name) {
  await page.click("#tab-agent");
  await page.waitForSelector("#graph svg");
  await page.selectOption("#example", `agents/${name}.yaml`);
  await page.waitForFunction(
    (title) => document.querySelector("#graph svg")?.getAttribute("aria-label").startsWith(`${title}:`),
    name,
  );
  await page.click("#run");
}

const ended = (page) =>
  page.waitForFunction(
    () => document.getElementById("run-answer").textContent || !document.getElementById("run-error").hidden,
  );
const answer = (page) => page.textContent("#run-answer");

function assertAtHome(browser) {
  assert.deepEqual(browser.strangers, [], "a request left this machine");
  assert.deepEqual(browser.errors, []);
}

scenario(
  "the page answers, runs an agent and lights its graph up, and no request leaves the origin",
  async ({ after }) => {
    const server = await site(after);
    const browser = after(await openBrowser());
    const page = await visit(browser, server);
    await ready(page);
    assert.equal(await page.evaluate(() => crossOriginIsolated), true);
    assert.match(await chat(page, "What is 2+2?"), /4/);
    assert.match(await page.textContent(".bubble.assistant .figures"), /tokens/);
    await runExample(page, "classify");
    await ended(page);
    assert.match(await answer(page), /Thank you/);
    const states = await page.$$eval("#graph .box", (boxes) =>
      Object.fromEntries(boxes.map((box) => [box.querySelector(".name").textContent, box.dataset.state])),
    );
    assert.deepEqual(states, { sort: "done", apologize: "idle", thank: "done" });
    assert.equal(await page.$$eval("#graph .way.taken", (ways) => ways.length), 3);
    assertAtHome(browser);
  },
);

scenario("the site reloads without a server, with its model, and still answers", async ({ after }) => {
  const server = await serve({ root: SITE });
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await ready(page);
  await keptWhole(page);
  await server.close();
  await page.reload();
  await ready(page);
  assert.match(await chat(page, "What is 2+2?"), /4/);
  await runExample(page, "classify");
  await ended(page);
  assert.match(await answer(page), /Thank you/);
  assertAtHome(browser);
});

scenario("a static host without COOP and COEP gives threads through the service worker", async ({ after }) => {
  const server = await site(after, { isolated: false });
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await page.waitForFunction(() => crossOriginIsolated);
  await ready(page);
  assert.match(await chat(page, "What is 2+2?"), /4/);
  await page.reload();
  await ready(page);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true, "the second visit has threads as well");
  const documents = server.log.filter((row) => row.path === "/").length;
  assert.ok(documents <= 4, `the page was loaded ${documents} times`);
  assertAtHome(browser);
});

scenario("without COOP, COEP and service workers the model answers on one thread", async ({ after }) => {
  const server = await site(after, { isolated: false });
  const browser = after(await openBrowser({ serviceWorkers: "block" }));
  const page = await visit(browser, server);
  await ready(page);
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  assert.equal(await page.textContent("#fact-threads"), "1 thread");
  assert.match(await chat(page, "What is 2+2?"), /4/);
  assertAtHome(browser);
});

scenario("a new version of the site takes the kept one's place, whole", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await keptWhole(page);
  const list = JSON.parse(readFileSync(join(SITE, "site.json"), "utf8"));
  const html = readFileSync(join(SITE, "index.html"), "utf8").replace(
    "<h1>The Edge Agent</h1>",
    "<h1>The next one</h1>",
  );
  server.state.files
    .set("/index.html", html)
    .set("/", html)
    .set("/site.json", JSON.stringify({ ...list, version: "next" }));
  await page.reload();
  const isNext = async () =>
    (await caches.keys()).filter((name) => name.startsWith("tea-site")).every((name) => name.endsWith(":next"));
  await until(() => page.evaluate(isNext));
  await server.close();
  await page.reload();
  assert.equal(await page.textContent("h1"), "The next one");
});

scenario("a mistake in the YAML is marked at its line, and mended it runs", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server, "#agent");
  await ready(page);
  await page.waitForSelector("#graph svg");
  const editor = page.locator("#editor textarea");
  await editor.fill(
    "name: x\nnodes:\n  - name: a\n    uses: llm.cal\n    with: {prompt: Hello!}\n    outputs: {answer: '{{ result.content }}'}\n",
  );
  await page.waitForSelector("#problems li");
  assert.match(await page.textContent("#problems"), /Line 4.*did you mean 'llm.call'/);
  assert.equal(await page.textContent(".numbers .marked"), "4");
  assert.equal(await page.isDisabled("#run"), true);
  await page.click("#problems button");
  await editor.pressSequentially("");
  await editor.fill((await editor.inputValue()).replace("llm.cal", "llm.call"));
  await page.waitForSelector("#problems", { state: "hidden" });
  await editor.press("Control+Enter");
  await ended(page);
  assert.match(await answer(page), /Hello/);
});

scenario("a question of an agent is asked in the page, and its answer goes on", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server, "#agent");
  await ready(page);
  await runExample(page, "human-approval");
  await page.waitForSelector(".question");
  assert.equal(await page.getAttribute('#graph .box:has-text("approve")', "data-state"), "waiting");
  await page.keyboard.press("Enter"); // The first answer has the focus: yes.
  await ended(page);
  assert.match(await answer(page), /^sent: /);
});

scenario("a run whose tab was closed goes on from the list of the next one", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  let page = await visit(browser, server, "#agent");
  await ready(page);
  assert.equal(await page.isVisible("#runs-card"), false, "nothing is kept yet");
  await runExample(page, "human-approval");
  await page.waitForSelector(".question");
  const question = await page.textContent(".question legend");
  await page.close(); // while it waits
  page = await visit(browser, server, "#agent");
  await ready(page);
  await page.waitForSelector("#runs-list li");
  assert.match(await page.textContent("#runs-list li"), /human-approval\s*(waits for an answer|stopped in the middle)/);
  await page.focus("#runs-list .resume");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".question");
  assert.equal(await page.textContent(".question legend"), question);
  assert.match(await page.inputValue("#editor textarea"), /name: human-approval/);
  await page.keyboard.press("Enter"); // yes
  await ended(page);
  assert.match(await answer(page), /^sent: /);
  await page.waitForSelector("#runs-card", { state: "hidden" });

  await runExample(page, "human-approval");
  await page.waitForSelector(".question");
  await page.click("#run-stop");
  await page.waitForSelector("#runs-list li");
  await page.click("#runs-list button:not(.resume)");
  await page.waitForSelector("#runs-card", { state: "hidden" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "run");
  assertAtHome(browser);
});

scenario("all of it can be reached with the keyboard, and everything has a name", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await ready(page);
  const seen = new Set();
  await page.evaluate(() => document.body.focus());
  for (let step = 0; step < 30; step++) {
    await page.keyboard.press("Tab");
    seen.add(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim()));
  }
  for (const id of ["theme", "model-select", "model-load", "tab-chat", "chat-input", "chat-new"])
    assert.ok(seen.has(id), `Tab doesn't reach ${id}: ${[...seen].join(", ")}`);
  await page.focus("#tab-chat");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.isVisible("#panel-agent"), true);
  const nameless = await page.$$eval("button, select, textarea, input, [role]", (elements) =>
    elements
      .filter(
        (element) =>
          !(
            element.getAttribute("aria-label") ||
            element.getAttribute("aria-labelledby") ||
            element.labels?.length ||
            element.textContent.trim()
          ),
      )
      .filter((element) => !element.matches("[role=status], [role=alert]"))
      .map((element) => element.outerHTML.slice(0, 80)),
  );
  assert.deepEqual(nameless, []);
});

scenario("on a phone nothing sticks out, and the theme stays as it was chosen", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser({ viewport: { width: 360, height: 740 } }));
  const page = await visit(browser, server);
  await ready(page);
  for (const tab of ["#tab-chat", "#tab-agent"]) {
    await page.click(tab);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `${tab} is ${width} pixels wide`);
  }
  await page.click("#theme");
  await page.click("#theme");
  assert.equal(await page.evaluate(() => localStorage.getItem("tea-theme")), "dark");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});

scenario("a model that is no model is said to be so, and the next one loads", async ({ after }) => {
  const server = await site(after);
  const browser = after(await openBrowser());
  const page = await visit(browser, server);
  await ready(page);
  await page.setInputFiles("#model-file", {
    name: "mine.gguf",
    mimeType: "application/octet-stream",
    buffer: readFileSync(join(SITE, "LICENSE")),
  });
  await page.waitForSelector("#model-error:not([hidden])");
  assert.match(await page.textContent("#model-error"), /GGUF/i);
  await page.click("#model-load");
  await ready(page);
  assert.match(await chat(page, "What is 2+2?"), /4/);
});

await main();
