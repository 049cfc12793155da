/** A run as a list of steps with their streamed text: what the graph shows, in words. */
import type { RunEvent, RunResult } from "tea-wasm-llm";
import { addressOf, locate } from "./address.js";
import { byId, make, messageOf, say } from "./dom.js";
import { count, list, rate, seconds } from "./format.js";

interface Step {
  readonly item: HTMLLIElement;
  readonly text: HTMLElement;
  readonly time: HTMLElement;
}

export class RunView {
  readonly #steps = byId("run-steps");
  readonly #waiting = new Set<string>();
  #byAddress = new Map<string, Step>();
  #tokens = 0;
  #firstTokenAt = 0;
  #lastTokenAt = 0;

  /** As before a run. */
  reset(): void {
    this.#byAddress.clear();
    this.#waiting.clear();
    this.#tokens = this.#firstTokenAt = this.#lastTokenAt = 0;
    this.#steps.replaceChildren();
    byId("run-empty").hidden = false;
    byId("run-figures").textContent = "";
    byId("run-answer").textContent = "";
    byId("run-question").replaceChildren();
    byId("run-state").hidden = true;
    say(byId("run-error"), undefined);
  }

  show(event: RunEvent): void {
    const address = addressOf(event);
    if (event.type === "node_started") this.#start(address, String(event.node), Number(event.attempt));
    const step = this.#byAddress.get(address);
    if (event.type === "token") this.#token(step, String(event.text));
    if (event.type === "node_finished" && step) {
      step.item.dataset.state = event.skipped === true ? "skipped" : "done";
      step.time.textContent = event.skipped === true ? "skipped" : seconds(Number(event.duration_s));
      step.text.textContent ||= updatesOf(event.updates);
    }
    if (event.type === "node_retried" && step) step.time.textContent = "again";
    if (event.type === "interrupted") this.#wait(address.replace(/\?.*$/, ""));
    if (event.type === "failed") for (const each of this.#running()) each.item.dataset.state = "failed";
  }

  finish({ state, usage }: RunResult, durationS: number): void {
    const tokens = usage.completion_tokens ?? this.#tokens;
    const streamingS = (this.#lastTokenAt - this.#firstTokenAt) / 1000;
    byId("run-figures").textContent = list(seconds(durationS), count(tokens, "token"), rate(this.#tokens, streamingS));
    const answer = state.answer;
    byId("run-answer").textContent =
      answer === undefined ? "Done." : typeof answer === "string" ? answer : JSON.stringify(answer);
    byId("run-json").textContent = JSON.stringify(state, shortened, 2);
    byId("run-state").hidden = false;
  }

  fail(error: unknown): void {
    say(byId("run-error"), messageOf(error));
    for (const each of this.#running()) each.item.dataset.state = "failed";
  }

  #start(address: string, node: string, attempt: number): void {
    byId("run-empty").hidden = true;
    const known = this.#byAddress.get(address);
    if (known) {
      known.text.textContent = "";
      known.time.textContent = `attempt ${attempt}`;
      return;
    }
    const inside = locate(address)?.isOwn === false;
    const text = make("span", { class: "text" });
    const time = make("span", { class: "quiet" });
    const where = inside ? make("span", { class: "quiet" }, ` in ${address.replace(/\/[^/]*$/, "")}`) : undefined;
    const item = make(
      "li",
      { class: inside ? "inside" : "" },
      make("span", {}, make("strong", {}, node), where),
      time,
      text,
    );
    item.dataset.state = this.#waiting.has(address) ? "waiting" : "running";
    this.#steps.append(item);
    this.#byAddress.set(address, { item, text, time });
    this.#steps.scrollTop = this.#steps.scrollHeight;
  }

  /** A question may overtake the event that its node has started. */
  #wait(address: string): void {
    this.#waiting.add(address);
    this.#byAddress.get(address)?.item.setAttribute("data-state", "waiting");
  }

  #token(step: Step | undefined, text: string): void {
    this.#tokens += 1;
    this.#lastTokenAt = performance.now();
    this.#firstTokenAt ||= this.#lastTokenAt;
    if (step) step.text.textContent += text;
    const streamingS = (this.#lastTokenAt - this.#firstTokenAt) / 1000;
    byId("run-figures").textContent = list(count(this.#tokens, "token"), rate(this.#tokens, streamingS));
  }

  #running(): Step[] {
    return [...this.#byAddress.values()].filter(({ item }) => item.dataset.state === "running");
  }
}

/** What a node changed, in a line. */
function updatesOf(updates: unknown): string {
  const entries = Object.entries((updates ?? {}) as Record<string, unknown>);
  const text = entries.map(([key, value]) => `${key} = ${inShort(value)}`).join(", ");
  return text.length > 240 ? `${text.slice(0, 239)}…` : text;
}

/** Of what an action gives, the part that a person asked for. */
function inShort(value: unknown): string {
  if (typeof value === "string") return value;
  const result = value as { label?: unknown; content?: unknown } | null;
  const part = result && typeof result === "object" ? (result.label ?? result.content) : undefined;
  if (typeof part === "string") return part;
  if (Array.isArray(value))
    return value.length > 12 ? `a list of ${value.length}` : `[${value.map(inShort).join(", ")}]`;
  return JSON.stringify(value, shortened);
}

/** Vectors fill screens and tell nobody anything. */
function shortened(_key: string, value: unknown): unknown {
  const isVector = Array.isArray(value) && value.length > 12 && value.every((entry) => typeof entry === "number");
  return isVector ? `[${value.length} numbers]` : value;
}
