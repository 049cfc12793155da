/** A YAML editor over a plain textarea: line numbers, colours, marks at faulty lines. Everything the textarea can, it can. */
import { make } from "./dom.js";
import { tokenize } from "./yaml-colours.js";

export class Editor {
  readonly #area: HTMLTextAreaElement;
  readonly #colours = make("pre", { class: "colours", "aria-hidden": "true" });
  readonly #numbers = make("pre", { class: "numbers", "aria-hidden": "true" });
  readonly #onChange: () => void;
  #marked: ReadonlySet<number> = new Set();

  constructor(place: HTMLElement, labelledBy: string, onChange: () => void, onRun: () => void) {
    this.#onChange = onChange;
    this.#area = make("textarea", {
      spellcheck: "false",
      autocapitalize: "off",
      autocomplete: "off",
      wrap: "off",
      "aria-labelledby": labelledBy,
      "aria-describedby": "problems",
    });
    place.classList.add("editor");
    place.append(this.#numbers, make("div", { class: "sheet" }, this.#colours, this.#area));
    this.#area.addEventListener("input", () => {
      this.#paint();
      this.#onChange();
    });
    this.#area.addEventListener("scroll", () => {
      this.#follow();
    });
    this.#area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        onRun();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#newLine();
      }
    });
  }

  get text(): string {
    return this.#area.value;
  }

  set text(text: string) {
    this.#area.value = text;
    this.#area.scrollTop = this.#area.scrollLeft = 0;
    this.#marked = new Set();
    this.#paint();
  }

  /** Mark these lines (from 1). */
  mark(lines: Iterable<number>): void {
    this.#marked = new Set(lines);
    this.#paint();
  }

  /** Put the cursor at a place (from 1) and show it. */
  goTo(line: number, column = 1): void {
    const lines = this.text.split("\n");
    const at = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
    this.#area.focus();
    this.#area.setSelectionRange(at, at);
    const height = this.#area.scrollHeight / Math.max(1, lines.length);
    this.#area.scrollTop = Math.max(0, (line - 4) * height);
  }

  /** Enter keeps the indent. Through execCommand, so that undo knows of it; there is no other way yet. */
  #newLine(): void {
    const before = this.#area.value.slice(0, this.#area.selectionStart);
    const indent = /[^\n]*$/.exec(before)?.[0].match(/^ */)?.[0] ?? "";
    const text = `\n${indent}`;
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    if (!document.execCommand("insertText", false, text)) {
      this.#area.setRangeText(text, this.#area.selectionStart, this.#area.selectionEnd, "end");
      this.#area.dispatchEvent(new Event("input"));
    }
  }

  #paint(): void {
    const lines = this.text.split("\n");
    this.#colours.replaceChildren(
      ...lines.flatMap((line) => [
        ...tokenize(line).map(({ kind, text }) => (kind ? make("span", { class: `y-${kind}` }, text) : text)),
        "\n",
      ]),
    );
    this.#numbers.replaceChildren(
      ...lines.flatMap((_, index) => {
        const marked = this.#marked.has(index + 1) ? { class: "marked" } : {};
        return [make("span", marked, String(index + 1)), "\n"];
      }),
    );
    this.#follow();
  }

  #follow(): void {
    this.#numbers.scrollTop = this.#area.scrollTop;
    this.#colours.scrollTop = this.#area.scrollTop;
    this.#colours.scrollLeft = this.#area.scrollLeft;
  }
}
