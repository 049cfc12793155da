/** Runs that this browser keeps and that can go on: their tab was closed, they wait for an answer, or they failed. */
import { listRuns, removeRun, type RunSummary } from "tea-wasm-llm";
import { byId, make, messageOf, say } from "./dom.js";
import { count } from "./format.js";

const STATES: Readonly<Record<string, string>> = {
  stopped: "stopped in the middle",
  interrupted: "waits for an answer",
  failed: "failed",
};

const AGAIN_MS = 1000;

export class KeptRuns {
  readonly #card = byId<HTMLDetailsElement>("runs-card");
  readonly #list = byId<HTMLUListElement>("runs-list");
  readonly #onResume: (runId: string) => void;
  #isFree = false;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(onResume: (runId: string) => void) {
    this.#onResume = onResume;
  }

  /** Whether a run may be started now. */
  setFree(isFree: boolean): void {
    this.#isFree = isFree;
    for (const button of this.#list.querySelectorAll<HTMLButtonElement>("button.resume")) button.disabled = !isFree;
  }

  /** Look again at what is kept. */
  async show(): Promise<void> {
    try {
      const all = await listRuns();
      // A tab that is being closed holds its run a little longer: look again.
      clearTimeout(this.#again);
      if (all.some(({ status }) => status === "running")) this.#again = setTimeout(() => void this.show(), AGAIN_MS);
      const runs = all.filter(({ status }) => status in STATES);
      runs.sort((a, b) => b.updatedS - a.updatedS);
      this.#list.replaceChildren(...runs.map((run) => this.#row(run)));
      this.#card.hidden = runs.length === 0;
      byId("runs-summary").textContent = runs.length === 0 ? "" : count(runs.length, "run");
      say(byId("runs-error"), undefined);
    } catch (error) {
      say(byId("runs-error"), messageOf(error));
    }
  }

  #row({ runId, workflow, status, updatedS }: RunSummary): HTMLLIElement {
    const when = new Date(updatedS * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const what = `${workflow}, ${STATES[status] ?? status}, ${when}`;
    const resume = make("button", { type: "button", class: "resume", "aria-label": `Resume ${what}` }, "Resume");
    const remove = make("button", { type: "button", "aria-label": `Remove ${what}` }, "Remove");
    resume.disabled = !this.#isFree;
    resume.addEventListener("click", () => {
      this.#onResume(runId);
    });
    remove.addEventListener("click", () => void this.#remove(runId));
    const state = make("span", { class: "quiet" }, `${STATES[status] ?? status}, ${when}`);
    const said = make("span", {}, make("strong", {}, workflow), state);
    const item = make("li", {}, said, make("span", { class: "row" }, resume, remove));
    item.dataset.run = runId;
    return item;
  }

  async #remove(runId: string): Promise<void> {
    try {
      await removeRun(runId);
    } catch (error) {
      say(byId("runs-error"), messageOf(error));
      return;
    }
    await this.show();
    // The button that had the focus is gone.
    (this.#list.querySelector<HTMLElement>("button") ?? byId("run")).focus();
  }
}
