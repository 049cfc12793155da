/** The model's card: choose, load with progress, see and delete what is kept. */
import { cacheStatus, clearCache, initLlm, type LoadProgress, type ModelInfo } from "tea-wasm-llm";
import { byId, isAbort, make, messageOf, say } from "./dom.js";
import { bytes, count, list } from "./format.js";
import type { Site, SiteModel } from "./site.js";

const OWN_FILE = "own-file";
/** A model up to this size is loaded without asking; a larger one is loaded by itself only if it is kept already. */
const SMALL_BYTES = 64e6;
const PHASES: Record<LoadProgress["phase"], string> = {
  waiting: "Waiting for another tab",
  verifying: "Checking what is kept",
  downloading: "Fetching",
};

export class ModelPanel {
  readonly #site: Site;
  readonly #onReady: (info: ModelInfo) => void;
  readonly #select = byId<HTMLSelectElement>("model-select");
  readonly #file = byId<HTMLInputElement>("model-file");
  readonly #load = byId<HTMLButtonElement>("model-load");
  readonly #stop = byId<HTMLButtonElement>("model-stop");
  readonly #bar = byId<HTMLProgressElement>("model-bar");
  #loading: AbortController | undefined;

  constructor(site: Site, onReady: (info: ModelInfo) => void) {
    this.#site = site;
    this.#onReady = onReady;
    for (const model of site.models) {
      this.#select.append(make("option", { value: model.manifest }, `${model.name} (${bytes(model.size)})`));
    }
    this.#select.append(make("option", { value: OWN_FILE }, "A GGUF file of mine…"));
    this.#select.addEventListener("change", () => {
      if (this.#select.value === OWN_FILE) this.#file.click();
    });
    this.#load.addEventListener("click", () => void this.#loadChosen());
    this.#file.addEventListener("change", () => void this.#loadFiles());
    this.#stop.addEventListener("click", () => this.#loading?.abort());
    byId("cache-clear").addEventListener("click", () => void this.#clear());
    byId("cache-card").addEventListener("toggle", () => void this.showCache());
  }

  /** Load what needs no asking. */
  async start(): Promise<void> {
    const first = this.#site.models[0];
    if (first && (first.size <= SMALL_BYTES || (await this.#isKept(first)))) await this.#loadChosen();
    else await this.showCache();
  }

  /** What is kept, read anew. */
  async showCache(): Promise<void> {
    try {
      const status = await cacheStatus();
      const kept = status.models.reduce((sum, model) => sum + model.cachedBytes, 0);
      byId("cache-summary").textContent = status.models.length > 0 ? bytes(kept) : "nothing";
      const rows = status.models.map((model) => {
        const name = model.model || model.source;
        const remove = make("button", { type: "button", "aria-label": `Delete ${name}` }, "Delete");
        remove.addEventListener("click", () => void this.#clear(model.source));
        const part = model.complete
          ? bytes(model.sizeBytes)
          : `${bytes(model.cachedBytes)} of ${bytes(model.sizeBytes)}`;
        return make("li", {}, make("span", {}, make("strong", {}, name), ` ${part}`), remove);
      });
      byId("cache-list").replaceChildren(...rows);
      const places = {
        opfs: "the browser's file system",
        indexeddb: "IndexedDB",
        memory: "memory, until the tab is closed",
      };
      byId("cache-room").textContent =
        `In ${places[status.store]}. ` +
        (Number.isFinite(status.quotaBytes) ? `This site may use ${bytes(status.quotaBytes)}.` : "");
      byId<HTMLButtonElement>("cache-clear").disabled = status.models.length === 0;
    } catch (error) {
      byId("cache-room").textContent = messageOf(error);
    }
  }

  async #isKept(model: SiteModel): Promise<boolean> {
    const source = new URL(model.manifest, document.baseURI).href;
    const { models } = await cacheStatus();
    return models.some((kept) => kept.source === source && kept.complete);
  }

  async #loadChosen(): Promise<void> {
    if (this.#select.value === OWN_FILE) this.#file.click();
    else await this.#run({ manifest: this.#select.value });
  }

  async #loadFiles(): Promise<void> {
    const files = [...(this.#file.files ?? [])].sort((a, b) => a.name.localeCompare(b.name));
    this.#file.value = "";
    if (files.length > 0) await this.#run({ files });
  }

  async #run(source: { manifest: string } | { files: File[] }): Promise<void> {
    this.#loading?.abort();
    const loading = (this.#loading = new AbortController());
    const notices: string[] = [];
    this.#show("busy", "Loading");
    say(byId("model-error"), undefined);
    say(byId("model-notice"), undefined);
    try {
      const info = await initLlm({
        ...source,
        signal: loading.signal,
        onProgress: (progress) => {
          this.#progress(progress);
        },
        onNotice: (sentence) => {
          notices.push(messageOf(sentence));
          say(byId("model-notice"), `${notices.join(". ")}.`);
        },
      });
      this.#show("ready", info.name || "Model ready");
      byId("model-summary").textContent = list(
        info.architecture,
        bytes(info.sizeBytes),
        count(info.nThreads, "thread"),
      );
      this.#onReady(info);
    } catch (error) {
      if (this.#loading !== loading) return;
      this.#show("idle", "No model");
      if (!isAbort(error)) {
        this.#show("error", "Model failed");
        say(byId("model-error"), messageOf(error));
        byId<HTMLDetailsElement>("model-card").open = true;
      }
    } finally {
      if (this.#loading === loading) this.#loading = undefined;
      void this.showCache();
    }
  }

  #progress({ phase, loadedBytes, totalBytes, cachedBytes }: LoadProgress): void {
    const isWhole = loadedBytes >= totalBytes;
    if (isWhole || totalBytes === 0) this.#bar.removeAttribute("value");
    else this.#bar.value = loadedBytes / totalBytes;
    const kept = cachedBytes > 0 ? `${bytes(cachedBytes)} kept` : "";
    byId("model-phase").textContent = isWhole
      ? "Starting the model"
      : list(PHASES[phase], `${bytes(loadedBytes)} of ${bytes(totalBytes)}`, kept);
  }

  #show(state: "busy" | "ready" | "idle" | "error", text: string): void {
    const fact = byId("fact-model");
    fact.dataset.state = state;
    fact.textContent = text;
    byId("model-progress").hidden = state !== "busy";
    this.#bar.removeAttribute("value");
    byId("model-phase").textContent = "";
    this.#load.hidden = state === "busy";
    // What is done needs no bright button.
    this.#load.textContent = state === "ready" ? "Load again" : "Load";
    this.#load.classList.toggle("primary", state !== "ready");
    this.#stop.hidden = state !== "busy";
  }

  async #clear(source?: string): Promise<void> {
    await clearCache(source);
    await this.showCache();
  }
}
