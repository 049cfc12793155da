/** The agent tab: pick an example or write one, see its graph, run it and watch it. */
import {
  describeYaml,
  executeLlmYaml,
  isTeaError,
  resumeRun,
  runHistory,
  type RunEvent,
  type RunOptions,
  type RunResult,
} from "tea-wasm-llm";
import { byId, isAbort, make, messageOf } from "./dom.js";
import { Editor } from "./editor.js";
import type { Described } from "./graph-layout.js";
import { GraphView } from "./graph-view.js";
import { Inputs } from "./inputs.js";
import { KeptRuns } from "./kept-runs.js";
import { ask } from "./question.js";
import { RunView } from "./run-view.js";
import type { SiteAgent } from "./site.js";

const PAUSE_MS = 350;
const SUGGESTIONS: Readonly<Record<string, string>> = { question: "What is 2+2?" };
const FILE = "agent.yaml";

export class AgentTab {
  readonly #select = byId<HTMLSelectElement>("example");
  readonly #run = byId<HTMLButtonElement>("run");
  readonly #stop = byId<HTMLButtonElement>("run-stop");
  readonly #problems = byId("problems");
  readonly #graph = new GraphView(byId("graph"));
  readonly #view = new RunView();
  readonly #editor: Editor;
  readonly #inputs: Inputs;
  readonly #kept = new KeptRuns((runId) => void this.#resume(runId));
  readonly #agents: readonly SiteAgent[];
  #running: AbortController | undefined;
  #checking = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isModelReady = false;
  #isSound = false;

  constructor(agents: readonly SiteAgent[]) {
    this.#agents = agents;
    const run = (): void => void this.#start();
    this.#editor = new Editor(
      byId("editor"),
      "editor-title",
      () => {
        this.#changed();
      },
      run,
    );
    this.#inputs = new Inputs(byId<HTMLFormElement>("inputs"), run);
    for (const agent of agents)
      this.#select.append(make("option", { value: agent.path, title: agent.description }, agent.name));
    this.#select.addEventListener("change", () => void this.open(this.#select.value));
    this.#run.addEventListener("click", run);
    this.#stop.addEventListener("click", () => this.#running?.abort());
    this.#update();
  }

  /** Show the first agent, and what is left of earlier visits. */
  async start(): Promise<void> {
    void this.#kept.show();
    const first = this.#agents.find((agent) => agent.name === "local-chat") ?? this.#agents[0];
    if (!first) return;
    this.#select.value = first.path;
    await this.open(first.path);
  }

  setReady(): void {
    this.#isModelReady = true;
    this.#update();
  }

  async open(path: string): Promise<void> {
    this.#running?.abort();
    try {
      const response = await fetch(path);
      if (!response.ok) throw new Error(`${path}: the server answered ${response.status}`);
      // The first line tells editors on disk where the schema lies; here it would only be noise.
      this.#editor.text = (await response.text()).replace(/^# yaml-language-server:.*\n(?:#\s*\n)?/, "");
      this.#view.reset();
      await this.#check();
    } catch (error) {
      this.#showProblems([{ text: messageOf(error) }]);
    }
  }

  #changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#check(), PAUSE_MS);
  }

  /** Let the engine read the text: a graph, or what is wrong with it. */
  async #check(): Promise<void> {
    const check = ++this.#checking;
    try {
      const agent = (await describeYaml(this.#editor.text, { file: FILE })) as Described;
      if (check !== this.#checking) return;
      this.#isSound = true;
      this.#showProblems([]);
      this.#inputs.show(agent.input, SUGGESTIONS);
      if (!this.#running) this.#graph.draw(agent);
    } catch (error) {
      if (check !== this.#checking) return;
      this.#isSound = false;
      this.#showProblems(problemsOf(error));
    }
    this.#update();
  }

  async #start(): Promise<void> {
    if (this.#running || !this.#isModelReady) return;
    clearTimeout(this.#timer);
    await this.#check();
    if (!this.#isSound) return;
    const options = { file: FILE };
    await this.#drive((more) => executeLlmYaml(this.#editor.text, this.#inputs.values(), { ...options, ...more }));
  }

  /** Go on with a kept run: its agent comes into the editor, its events into the graph. */
  async #resume(runId: string): Promise<void> {
    if (this.#running || !this.#isModelReady) return;
    clearTimeout(this.#timer);
    try {
      this.#editor.text = (await runHistory(runId)).text;
    } catch (error) {
      this.#view.fail(error);
      return;
    }
    this.#select.selectedIndex = -1;
    await this.#check();
    await this.#drive((options) => resumeRun(runId, options));
  }

  async #drive(run: (options: RunOptions) => Promise<RunResult>): Promise<void> {
    const running = (this.#running = new AbortController());
    this.#graph.reset();
    this.#view.reset();
    this.#update();
    // Where the page is one column, what happens is below.
    if (matchMedia("(max-width: 1080px)").matches) byId("graph").scrollIntoView({ block: "start" });
    const started = performance.now();
    try {
      const result = await run({
        signal: running.signal,
        watchTokens: true,
        onEvent: (event: RunEvent) => {
          this.#graph.show(event);
          this.#view.show(event);
        },
        onQuestion: (question) => {
          const waits = { type: "interrupted", run_id: "", at_s: 0, address: question.address };
          this.#graph.show(waits);
          this.#view.show(waits);
          return ask(byId("run-question"), question, running.signal);
        },
      });
      this.#view.finish(result, (performance.now() - started) / 1000);
    } catch (error) {
      this.#view.fail(isAbort(error) ? new Error("Stopped.") : error);
    } finally {
      this.#running = undefined;
      this.#update();
      void this.#kept.show();
    }
  }

  #showProblems(problems: readonly Found[]): void {
    this.#problems.hidden = problems.length === 0;
    this.#editor.mark(problems.flatMap(({ line }) => (line === undefined ? [] : [line])));
    this.#problems.replaceChildren(
      ...problems.map(({ text, line, column }) => {
        if (line === undefined) return make("li", {}, text);
        const go = make("button", { type: "button", class: "link" }, `Line ${line}`);
        go.addEventListener("click", () => {
          this.#editor.goTo(line, column);
        });
        return make("li", {}, go, ` ${text}`);
      }),
    );
  }

  #update(): void {
    const isRunning = this.#running !== undefined;
    this.#run.hidden = isRunning;
    this.#stop.hidden = !isRunning;
    this.#run.disabled = !this.#isModelReady || !this.#isSound;
    this.#kept.setFree(this.#isModelReady && !isRunning);
    this.#run.title = this.#isModelReady ? "" : "Load a model first";
  }
}

interface Found {
  readonly text: string;
  readonly line?: number;
  readonly column?: number;
}

function problemsOf(error: unknown): Found[] {
  if (!isTeaError(error)) return [{ text: messageOf(error) }];
  return error.problems.map(({ what, place, fix }) => {
    const text = fix ? `${what}; ${fix}` : what;
    const match = /:(\d+)(?::(\d+))?$/.exec(place);
    return match
      ? { text, line: Number(match[1]), column: Number(match[2] ?? 1) }
      : { text: place ? `${place}: ${text}` : text };
  });
}
