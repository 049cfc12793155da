/** The agent's input as a form, from its input schema. What is left empty is left to the agent's own defaults. */
import { make } from "./dom.js";
import type { Described } from "./graph-layout.js";

export class Inputs {
  readonly #form: HTMLFormElement;
  #shape = "";
  #fields: Described["input"] = {};

  constructor(form: HTMLFormElement, onSubmit: () => void) {
    this.#form = form;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSubmit();
    });
  }

  /** Show the fields of an agent; what was typed stays as long as they are the same. */
  show(fields: Described["input"], suggestions: Readonly<Record<string, string>>): void {
    const shape = JSON.stringify(fields);
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.#fields = fields;
    const rows = Object.entries(fields).map(([name, field]) => {
      const id = `input-${name}`;
      const area = make("textarea", {
        id,
        name,
        rows: "1",
        placeholder: field.required ? "Required" : "Empty: the default",
      });
      area.value = suggestions[name] ?? "";
      area.addEventListener("input", () => {
        fit(area);
      });
      queueMicrotask(() => {
        fit(area);
      });
      const type = field.type === "string" ? "" : ` (${field.type}, as JSON)`;
      const help = field.description ? make("small", { class: "quiet" }, field.description) : undefined;
      return make(
        "div",
        {},
        make("label", { for: id, class: "field" }, name, make("span", { class: "quiet" }, type)),
        area,
        help,
      );
    });
    this.#form.replaceChildren(
      ...(rows.length > 0 ? rows : [make("p", { class: "quiet" }, "This agent takes no input.")]),
    );
  }

  /** The values that were given. Throws a sentence where one is no JSON. */
  values(): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(this.#fields)) {
      const text = (this.#form.elements.namedItem(name) as HTMLTextAreaElement | null)?.value ?? "";
      if (text === "") continue;
      found[name] = field.type === "string" ? text : parse(name, field.type, text);
    }
    return found;
  }
}

function parse(name: string, type: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Error(`input ${name}: it is no JSON; write a ${type} as JSON`);
  }
}

function fit(area: HTMLTextAreaElement): void {
  area.style.height = "auto";
  if (area.scrollHeight > 0) area.style.height = `${Math.min(area.scrollHeight + 2, 160)}px`;
}
