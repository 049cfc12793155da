/** A run's question to a person, as a small form; resolves with the answer. */
import type { Question } from "tea-wasm-llm";
import { make } from "./dom.js";

/** Show the question in `place` until it is answered or the signal says that nobody waits any more. */
export function ask(place: HTMLElement, question: Question, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done = (answer: unknown): void => {
      place.replaceChildren();
      resolve(answer);
    };
    const legend = make("legend", {}, question.prompt);
    const form = make("fieldset", { class: "question" }, legend);
    if (question.problem) form.append(make("p", { class: "error", role: "alert" }, question.problem));
    form.append(...controls(question, done));
    place.replaceChildren(form);
    form.querySelector<HTMLElement>("button, textarea, input")?.focus();
    signal.addEventListener(
      "abort",
      () => {
        place.replaceChildren();
        reject(signal.reason as Error);
      },
      { once: true },
    );
  });
}

function controls(question: Question, done: (answer: unknown) => void): HTMLElement[] {
  if (question.kind === "confirm" || question.kind === "approve") {
    return [
      row(
        button(
          "Yes",
          () => {
            done(true);
          },
          "primary",
        ),
        button("No", () => {
          done(false);
        }),
      ),
    ];
  }
  if (question.kind === "choice") {
    return [
      row(
        ...(question.choices ?? []).map((choice) =>
          button(String(choice), () => {
            done(choice);
          }),
        ),
      ),
    ];
  }
  const area = make("textarea", { rows: "2", "aria-label": "Your answer" });
  const send = (): void => {
    done(question.kind === "json" ? parsed(area.value) : area.value);
  };
  return [area, row(button("Answer", send, "primary"))];
}

/** JSON where it is JSON; the engine says what is wrong with anything else. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function row(...buttons: HTMLElement[]): HTMLElement {
  return make("div", { class: "row" }, ...buttons);
}

function button(text: string, onClick: () => void, kind = ""): HTMLButtonElement {
  const element = make("button", { type: "button", class: kind }, text);
  element.addEventListener("click", onClick);
  return element;
}
