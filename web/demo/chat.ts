/** The chat tab: a conversation with the loaded model, token by token, with what it cost. */
import { chatStream, type ChatMessage, type Piece } from "tea-wasm-llm";
import { byId, isAbort, make, messageOf } from "./dom.js";
import { count, list, rate, seconds } from "./format.js";

const STARTERS: readonly { readonly label: string; readonly text: string }[] = [
  { label: "What is 2+2?", text: "What is 2+2?" },
  { label: "Hello!", text: "Hello!" },
  {
    label: "When does the library open?",
    text: "Context: The library opens at nine.\nQuestion: When does the library open?",
  },
];

export class Chat {
  readonly #log = byId("chat-log");
  readonly #input = byId<HTMLTextAreaElement>("chat-input");
  readonly #send = byId<HTMLButtonElement>("chat-send");
  readonly #stop = byId<HTMLButtonElement>("chat-stop");
  readonly #empty = byId("chat-empty");
  #messages: ChatMessage[] = [];
  #answering: AbortController | undefined;
  #isReady = false;

  constructor() {
    byId("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#ask();
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      void this.#ask();
    });
    this.#input.addEventListener("input", () => {
      this.#fit();
      this.#update();
    });
    this.#stop.addEventListener("click", () => this.#answering?.abort());
    byId("chat-new").addEventListener("click", () => {
      this.#clear();
    });
    for (const { label, text } of STARTERS) {
      const chip = make("button", { type: "button", class: "chip" }, label);
      chip.addEventListener("click", () => {
        this.#input.value = text;
        this.#fit();
        this.#update();
        this.#input.focus();
        if (this.#isReady) void this.#ask();
      });
      byId("chat-starters").append(chip);
    }
    this.#update();
  }

  /** A model is there to answer. */
  setReady(): void {
    this.#isReady = true;
    this.#update();
  }

  async #ask(): Promise<void> {
    const text = this.#input.value.trim();
    if (!text || !this.#isReady || this.#answering) return;
    this.#input.value = "";
    this.#fit();
    this.#empty.hidden = true;
    this.#messages.push({ role: "user", content: text });
    this.#bubble("user", text);
    const answer = this.#bubble("assistant", "");
    const answering = (this.#answering = new AbortController());
    this.#update();
    await this.#answer(answer, answering.signal);
    this.#answering = undefined;
    this.#update();
    this.#input.focus({ preventScroll: true });
  }

  async #answer(bubble: Bubble, signal: AbortSignal): Promise<void> {
    const started = performance.now();
    let text = "";
    const seen = { first: 0, latest: 0, pieces: 0 };
    let last: Piece | undefined;
    bubble.element.setAttribute("aria-busy", "true");
    try {
      for await (const piece of chatStream(this.#messages, { temperature: 0, signal })) {
        if (piece.text) {
          seen.pieces += 1;
          seen.latest = performance.now();
          seen.first ||= seen.latest;
        }
        text += piece.text;
        last = piece;
        bubble.text.textContent = text;
        this.#follow();
      }
      bubble.figures.textContent = figures(last, seen, started);
      if (last?.finishReason === "length") bubble.figures.textContent += " · cut at the length limit";
    } catch (error) {
      if (isAbort(error)) bubble.figures.textContent = "Stopped";
      else bubble.fail(messageOf(error));
    } finally {
      bubble.element.removeAttribute("aria-busy");
      // A conversation alternates: what got no answer isn't said again.
      if (text) this.#messages.push({ role: "assistant", content: text });
      else this.#messages.pop();
      this.#follow();
    }
  }

  #bubble(role: "user" | "assistant", text: string): Bubble {
    const bubble = new Bubble(role, text);
    this.#log.append(bubble.element);
    this.#follow();
    return bubble;
  }

  #clear(): void {
    this.#answering?.abort();
    this.#messages = [];
    this.#log.replaceChildren(this.#empty);
    this.#empty.hidden = false;
    this.#input.focus();
  }

  #follow(): void {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #fit(): void {
    this.#input.style.height = "auto";
    this.#input.style.height = `${Math.min(this.#input.scrollHeight, 200)}px`;
  }

  #update(): void {
    const isAnswering = this.#answering !== undefined;
    this.#send.hidden = isAnswering;
    this.#stop.hidden = !isAnswering;
    this.#send.disabled = !this.#isReady || this.#input.value.trim() === "";
    this.#input.placeholder = this.#isReady ? "Write a message" : "Load a model first; you can write already";
  }
}

/** A message of the log. */
class Bubble {
  readonly element: HTMLElement;
  readonly text = make("p", { class: "text" });
  readonly figures = make("p", { class: "figures quiet" });

  constructor(role: "user" | "assistant", text: string) {
    this.text.textContent = text;
    const who = make("span", { class: "visually-hidden" }, role === "user" ? "You: " : "Model: ");
    this.element = make("div", { class: `bubble ${role}` }, who, this.text, this.figures);
  }

  fail(sentence: string): void {
    this.figures.className = "error";
    this.figures.textContent = sentence;
  }
}

/** The model's own figures where it gives them, else what was seen here. */
function figures(
  last: Piece | undefined,
  seen: { first: number; latest: number; pieces: number },
  started: number,
): string {
  const tokens = last?.usage?.completionTokens ?? seen.pieces;
  const speed = last?.timings
    ? rate(tokens, last.timings.decodeS)
    : rate(seen.pieces - 1, (seen.latest - seen.first) / 1000);
  const firstAfter = seen.first > 0 ? `first after ${seconds((seen.first - started) / 1000)}` : "";
  return list(count(tokens, "token"), speed, firstAfter);
}
