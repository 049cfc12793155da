/** The page: engine and model start side by side, and each part of the page is told when what it needs is there. */
import { initTeaLlm } from "tea-wasm-llm";
import { keepOffline, startServiceWorker } from "../src/service-worker-client.js";
import { AgentTab } from "./agent.js";
import { Chat } from "./chat.js";
import { byId, messageOf, say } from "./dom.js";
import { count } from "./format.js";
import { ModelPanel } from "./model-panel.js";
import { loadSite } from "./site.js";
import { startTabs } from "./tabs.js";
import { startTheme } from "./theme.js";

startTheme();
// On a host without COOP and COEP this page may end here and come back with threads, before anything is loaded.
if (crossOriginIsolated || (await startServiceWorker()) !== "reloading") await start();

async function start(): Promise<void> {
  const engine = startEngine();
  const site = await loadSite();
  const chat = new Chat();
  const agent = new AgentTab(site.agents);
  const model = new ModelPanel(site, (info) => {
    showThreads(info.nThreads);
    chat.setReady();
    agent.setReady();
  });
  startTabs(document.querySelector<HTMLElement>('[role="tablist"]') ?? document.body, () => undefined);
  if (site.problem) say(byId("model-notice"), site.problem);
  // A phone shows the card's head alone; it opens at a touch.
  if (matchMedia("(max-width: 800px)").matches) byId<HTMLDetailsElement>("model-card").open = false;
  await Promise.all([model.start(), engine.then(() => agent.start())]);
  await startServiceWorker();
  byId("fact-offline").hidden = !(await keepOffline());
}

async function startEngine(): Promise<void> {
  const fact = byId("fact-engine");
  try {
    await initTeaLlm({ assetsUrl: "tea/" });
    fact.dataset.state = "ready";
    fact.textContent = "Engine ready";
  } catch (error) {
    fact.dataset.state = "error";
    fact.textContent = "Engine failed";
    say(byId("model-error"), messageOf(error));
  }
}

function showThreads(threads: number): void {
  const fact = byId("fact-threads");
  fact.hidden = false;
  fact.textContent = count(threads, "thread");
  fact.title = crossOriginIsolated
    ? "This page is isolated from other origins, so the model may use threads."
    : "This page isn't isolated from other origins (COOP and COEP), so the model runs on one thread.";
}
