/**
 * The package's heart on the page's side: two workers (model and engine), started side by side, behind plain calls.
 *
 * `index.ts` offers the same as functions over one instance. Knows nothing of wllama, Pyodide or the DOM.
 */

import type {
  ChatAnswer,
  ChatOptions,
  HandlerRequest,
  LlmConfig,
  LlmHandler,
  Question,
  RunEvent,
  RunHistory,
  RunOptions,
  RunResult,
  StartOptions,
  TeaConfig,
} from "./api-types.js";
import type { CacheStatus, LoadProgress } from "./cache/index.js";
import { TeaError } from "./errors.js";
import { streamed } from "./event-stream.js";
import { loadParams } from "./load-params.js";
import { checkInput, checkMessages, checkTexts, checkYaml, samplingBody, type ChatMessage } from "./params.js";
import { Caller, serve, type CallContext, type Endpoint } from "./rpc.js";
import type { RunSummary } from "./stored.js";
import type { ModelInfo, Piece, Vector } from "./wasm-model.js";

/** One engine and one model in one tab. Close it to give their memory back. */
export class Tea {
  readonly #assetsUrl: string;
  readonly #handler: LlmHandler | undefined;
  readonly #asking = new Map<number, NonNullable<RunOptions["onQuestion"]>>();
  #workers: Worker[] = [];
  #model: Caller | undefined;
  #engine: Promise<Caller> | undefined;
  #asked = 0;

  constructor(config: TeaConfig = {}, handler?: LlmHandler) {
    if (handler !== undefined && typeof handler !== "function") {
      throw TeaError.of("NoHandler", "the handler is no function", "pass (request) => text, or leave it out", "initTeaLlm");
    }
    this.#assetsUrl = new URL(config.assetsUrl ?? ".", config.assetsUrl === undefined ? import.meta.url : document.baseURI).href;
    this.#handler = handler;
  }

  /** Start the engine; resolves when an agent can run. Safe to call again. Raises StartFailed. */
  async start(): Promise<void> {
    await this.#engineCaller();
  }

  /** Load a model. Raises ModelTooLarge, OutOfMemory, ModelLoadFailed, DownloadFailed, BadParameters. */
  async initLlm(config: LlmConfig): Promise<ModelInfo> {
    const params = loadParams(config, new URL("wllama.wasm", this.#assetsUrl).href);
    const info = await this.#modelCaller().call<ModelInfo>("load", params, {
      signal: config.signal,
      onEvent: (event) => {
        const { progress, notice } = event as { progress?: LoadProgress; notice?: string };
        if (progress) config.onProgress?.(progress);
        if (notice !== undefined) config.onNotice?.(notice);
      },
    });
    config.onReady?.(info);
    return info;
  }

  /** The loaded model. Raises NotReady. */
  modelInfo(): Promise<ModelInfo> {
    return this.#modelCaller().call("info", null);
  }

  /** A whole answer. Raises NotReady, BadParameters, ContextLengthExceeded, and AbortError. */
  async chat(messages: string | readonly ChatMessage[], options: ChatOptions = {}): Promise<ChatAnswer> {
    let text = "";
    let last: Piece | undefined;
    for await (const piece of this.chatStream(messages, options)) {
      text += piece.text;
      last = piece;
    }
    return {
      text,
      finishReason: last?.finishReason ?? "stop",
      usage: last?.usage ?? { promptTokens: 0, completionTokens: 0, cachedTokens: 0 },
      timings: last?.timings ?? { prefillS: 0, decodeS: 0 },
    };
  }

  /** The answer as it comes; leaving the loop early stops the model. */
  async *chatStream(messages: string | readonly ChatMessage[], options: ChatOptions = {}): AsyncGenerator<Piece, void, void> {
    const body = { messages: checkMessages(messages), ...samplingBody(options) };
    const model = this.#modelCaller();
    yield* streamed<Piece>((onEvent, signal) => model.call("chat", body, { onEvent, signal }), options.signal);
  }

  /** Unit vectors, one a text, in order. */
  async embed(texts: string | readonly string[], options: { readonly signal?: AbortSignal } = {}): Promise<number[][]> {
    const vectors: number[][] = [];
    for (const text of checkTexts(texts)) {
      const { values } = await this.#modelCaller().call<Vector>("embed", { text }, { signal: options.signal });
      vectors.push([...values]);
    }
    return vectors;
  }

  /** Run an agent. Raises WorkflowInvalid, InputInvalid, the failed run's own error, and AbortError (resumable). */
  async run(yaml: string, input?: Readonly<Record<string, unknown>>, options: StartOptions = {}): Promise<RunResult> {
    const { runId, keep, seed, variables, file } = options;
    const params = { text: checkYaml(yaml), input: checkInput(input), runId, keep, seed, variables, file };
    return await this.#drive("run", params, options);
  }

  /** Go on with a kept run; `answer` answers the question it waits with. Raises RunNotFound, RunBusy, InputInvalid. */
  async resume(runId: string, options: RunOptions & { readonly answer?: unknown } = {}): Promise<RunResult> {
    return await this.#drive("resume", { runId, answer: options.answer }, options);
  }

  /** Repeat a kept run from its log, without a model. */
  async replay(runId: string, options: RunOptions = {}): Promise<RunResult> {
    return await this.#drive("replay", { runId }, options);
  }

  /** An agent as data, to be drawn. Raises WorkflowInvalid with every problem. */
  async describe(yaml: string, options: { readonly file?: string; readonly allowCode?: boolean } = {}): Promise<unknown> {
    return await (await this.#engineCaller()).call("describe", { text: checkYaml(yaml), ...options });
  }

  async history(runId: string): Promise<RunHistory> {
    return await (await this.#engineCaller()).call("history", { runId });
  }

  async listRuns(): Promise<RunSummary[]> {
    return await (await this.#engineCaller()).call("listRuns", null);
  }

  async removeRun(runId: string): Promise<void> {
    await (await this.#engineCaller()).call("removeRun", { runId });
  }

  /** Forget what agents stored with memory.store. */
  async forgetMemory(): Promise<void> {
    await (await this.#engineCaller()).call("forget", null);
  }

  cacheStatus(): Promise<CacheStatus> {
    return this.#modelCaller().call("cacheStatus", null);
  }

  /** Delete one model of the cache, or all; gives how many are gone. */
  clearCache(source?: string | URL): Promise<number> {
    return this.#modelCaller().call("clearCache", { source: source && new URL(source, document.baseURI).href });
  }

  /** Stop both workers; every call that waits fails. */
  close(): void {
    const closed = TeaError.of("NotReady", "it was closed", "call initTeaLlm again");
    this.#model?.fail(closed);
    void this.#engine?.then((engine) => {
      engine.fail(closed);
    }, ignore);
    for (const worker of this.#workers) worker.terminate();
    this.#workers = [];
    this.#model = undefined;
    this.#engine = undefined;
  }

  async #drive(method: string, params: object, options: RunOptions): Promise<RunResult> {
    const engine = await this.#engineCaller();
    const { onEvent, onQuestion, signal, watchTokens, allowCode, secrets } = options;
    const asks = onQuestion ? ++this.#asked : 0;
    if (onQuestion) this.#asking.set(asks, onQuestion);
    try {
      const last = await engine.call<RunEvent>(
        method,
        { ...params, asks, watchTokens, allowCode, secrets },
        { signal, onEvent: onEvent && ((event) => { onEvent(event as RunEvent); }) },
      );
      return result(last);
    } finally {
      this.#asking.delete(asks);
    }
  }

  #modelCaller(): Caller {
    return (this.#model ??= new Caller(this.#worker("model-worker.js", (error) => this.#model?.fail(error))));
  }

  #engineCaller(): Promise<Caller> {
    return (this.#engine ??= this.#startEngine().catch((error: unknown) => {
      this.#engine = undefined;
      throw error;
    }));
  }

  async #startEngine(): Promise<Caller> {
    const worker = this.#worker("engine-worker.js", (error) => {
      engine.fail(error);
    });
    const engine = new Caller(worker);
    serve(worker, { chat: this.#handle, ask: this.#ask, embed: refuseEmbedding });
    const { port1, port2 } = new MessageChannel();
    await this.#modelCaller().call("connect", { port: port1 }, { transfer: [port1] });
    await engine.call(
      "start",
      { assetsUrl: this.#assetsUrl, hasHandler: this.#handler !== undefined, modelPort: port2 },
      { transfer: [port2] },
    );
    return engine;
  }

  #worker(name: string, fail: (error: Error) => void): Worker & Endpoint {
    const url = new URL(name, this.#assetsUrl);
    const worker = new Worker(url, { type: "module", name: `tea ${name}` });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      const what = event.message ? `its worker failed: ${event.message}` : `${url.href} can't be loaded as a worker`;
      fail(TeaError.of("StartFailed", what, "serve the package's whole dist folder, and name it in assetsUrl", name));
    });
    this.#workers.push(worker);
    return worker;
  }

  readonly #handle = async (request: HandlerRequest, { emit, signal }: CallContext): Promise<void> => {
    if (!this.#handler) throw TeaError.of("NoHandler", "this tab has no handler", "give one to initTeaLlm");
    const said = this.#handler(request, { signal });
    if (typeof said === "object" && Symbol.asyncIterator in said) {
      for await (const text of said) emit({ text: checkSaid(text) });
    } else {
      emit({ text: checkSaid(await said) });
    }
  };

  readonly #ask = async ({ call, question }: { call: number; question: Question }): Promise<unknown> => {
    return (await this.#asking.get(call)?.(question)) ?? null;
  };
}

function result(last: RunEvent): RunResult {
  if (last.type === "failed") {
    const { name, what, place, fix } = last.error as { name: string; what: string; place: string; fix: string };
    throw new TeaError(name, [{ what, place, fix }]);
  }
  const common = {
    runId: last.run_id,
    state: last.state as RunResult["state"],
    usage: last.usage as RunResult["usage"],
  };
  if (last.type === "interrupted") return { ...common, status: "interrupted", question: last.question as Question };
  return { ...common, status: "finished" };
}

function checkSaid(text: unknown): string {
  if (typeof text === "string") return text;
  throw TeaError.of("NoHandler", `the handler gave ${typeof text} instead of a text`, "return a string, or an async iterator of strings");
}

function refuseEmbedding(): never {
  throw TeaError.of("UnsupportedFeature", "the page's handler makes no embeddings", "load a model with initLlm instead");
}

const ignore = (): void => undefined;
