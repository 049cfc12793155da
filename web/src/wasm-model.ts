/**
 * One loaded model: wllama behind a queue, with errors as sentences.
 *
 * wllama answers one request at a time here (two at once would wait for each other on one thread). A request that its C++
 * throws at takes the whole module down; it is then loaded again for the next one. Knows nothing of workers or of agents.
 */

import { LogLevel, Wllama, type ChatCompletionChunk, type ChatCompletionMessage, type RawCompletionChunk } from "@wllama/wllama/esm/index.js";

import { abortError, isAbort, TeaError } from "./errors.js";
import { readGgufHeader, type GgufHeader } from "./gguf-header.js";
import { planLoad, type LoadPlan, type LoadWishes } from "./load-plan.js";

/** What a page and the engine may know of a loaded model. */
export interface ModelInfo {
  readonly name: string;
  readonly architecture: string;
  readonly sizeBytes: number;
  readonly nCtx: number;
  readonly nThreads: number;
  readonly addBos: boolean;
  readonly bosToken: string;
  readonly eosToken: string;
  readonly controlTokens: readonly string[];
  readonly chatTemplate: string;
  readonly llamaCpp: string;
}

/** A raw completion: llama.cpp's own field names, already checked by whoever asks. */
export type CompletionBody = Readonly<Record<string, unknown>> & { readonly prompt: string };

/** One piece of the answer; the last one says why it ended and what it took. */
export interface Piece {
  readonly text: string;
  readonly finishReason: "stop" | "length" | null;
  readonly usage?: { readonly promptTokens: number; readonly completionTokens: number; readonly cachedTokens: number };
  readonly timings?: { readonly prefillS: number; readonly decodeS: number };
  readonly logprobs?: unknown;
}

export interface Vector {
  readonly values: readonly number[];
  readonly tokens: number;
}

export class WasmModel {
  readonly info: ModelInfo;
  readonly #plan: LoadPlan;
  readonly #reopen: () => Promise<Running>;
  #running: Running;
  #crashed = false;
  #closed = false;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(running: Running, reopen: () => Promise<Running>, plan: LoadPlan, info: ModelInfo) {
    this.#running = running;
    this.#reopen = reopen;
    this.#plan = plan;
    this.info = info;
  }

  /** Load the GGUF (its shards in order). Raises ModelTooLarge, OutOfMemory, ModelLoadFailed, BadParameters. */
  static async load(files: readonly Blob[], wasmUrl: string, wishes: LoadWishes): Promise<WasmModel> {
    const first = files[0];
    if (!first) throw TeaError.of("BadParameters", "no model file was given", "give modelUrl, modelBasePath or files", "initLlm");
    const sizeBytes = files.reduce((sum, file) => sum + file.size, 0);
    const header = await readGgufHeader(first);
    const plan = planLoad(sizeBytes, header, wishes, {
      isolated: globalThis.crossOriginIsolated,
      cores: navigator.hardwareConcurrency,
    });
    const open = (): Promise<Running> => openWllama(files, wasmUrl, plan, sizeBytes);
    const running = await open();
    return new WasmModel(running, open, plan, describe(running.wllama, header, sizeBytes));
  }

  /** Continue a prompt; pieces come through `onPiece`, the last one included. Raises ContextLengthExceeded, Internal. */
  async complete(body: CompletionBody, onPiece: (piece: Piece) => void, signal: AbortSignal): Promise<void> {
    await this.#alone(signal, async () => {
      const cache = this.#plan.deterministic ? { cache_prompt: false } : {};
      await this.#running.wllama.createCompletion({
        ...cache,
        ...body,
        stream: true,
        abortSignal: signal,
        onData: (chunk: RawCompletionChunk) => {
          onPiece(toPiece(chunk, chunk.choices[0]?.text ?? ""));
        },
      });
    });
  }

  /** Answer a conversation by the model's own chat template. */
  async chat(body: Readonly<Record<string, unknown>>, onPiece: (piece: Piece) => void, signal: AbortSignal): Promise<void> {
    await this.#alone(signal, async () => {
      const cache = this.#plan.deterministic ? { cache_prompt: false } : {};
      let last: Piece | undefined; // what it took comes behind why it ended
      await this.#running.wllama.createChatCompletion({
        ...cache,
        ...(body as { messages: ChatCompletionMessage[] }),
        ...{ stream_options: { include_usage: true } },
        stream: true,
        abortSignal: signal,
        onData: (chunk: ChatCompletionChunk) => {
          const piece = toPiece(chunk, chunk.choices[0]?.delta.content ?? "");
          if (last ?? piece.finishReason) last = joined(last, piece);
          else if (piece.text) onPiece(piece);
        },
      });
      if (last) onPiece(last);
    });
  }

  /** A unit vector, the mean over the text's tokens. */
  async embed(text: string, signal: AbortSignal): Promise<Vector> {
    return await this.#alone(signal, async () => {
      // An empty text has no tokens, and wllama crashes over that; native engines embed token 0 for it.
      const answer = await this.#running.wllama.createEmbedding({ input: text || [[0]] });
      const values = answer.data[0]?.embedding;
      if (!Array.isArray(values)) throw new Error("wllama gave no vector");
      return { values: values.flat(), tokens: answer.usage.prompt_tokens };
    });
  }

  /** Free the model's memory. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running.stop();
  }

  /** Run when everything asked before is done. */
  #alone<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(async () => {
      if (signal.aborted) throw abortError();
      if (this.#closed) throw TeaError.of("NotReady", "the model was unloaded", "load one with initLlm");
      if (this.#crashed) {
        this.#running = await this.#reopen();
        this.#crashed = false;
      }
      try {
        return await act();
      } catch (error) {
        throw await this.#translate(error);
      }
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #translate(error: unknown): Promise<Error> {
    if (isAbort(error)) return abortError();
    const what = error instanceof Error ? error.message : String(error);
    const tooLong = /request \((\d+) tokens\) exceeds the available context size \((\d+) tokens\)/.exec(what);
    if (tooLong) return contextExceeded(Number(tooLong[1]), Number(tooLong[2]));
    if (!(error instanceof Error) || error.name !== "RuntimeError") return TeaError.of("Internal", what, "", "model", error);
    const said = this.#running.said();
    this.#crashed = true;
    await this.#running.stop();
    return crashError(isOutOfMemory(what) ? what : said || what, error);
  }
}

/** A module at work. `said` is its last complaint; `stop` ends it in whatever state it is. */
interface Running {
  readonly wllama: Wllama;
  readonly said: () => string;
  readonly stop: () => Promise<void>;
}

async function openWllama(files: readonly Blob[], wasmUrl: string, plan: LoadPlan, sizeBytes: number): Promise<Running> {
  let complaint = "";
  const hear = (...words: unknown[]): void => {
    // The first one names the cause; what follows are stacks.
    if (!complaint && typeof words[0] === "string") complaint = words[0].trim();
  };
  const logger = { debug: silent, log: silent, warn: silent, error: hear };
  const wllama = new Wllama({ default: wasmUrl }, { logger });
  wllama.setCompat(null); // its default is a download from elsewhere
  const stop = async (): Promise<void> => {
    // A module that has crashed doesn't answer `exit`, so its worker is ended from outside.
    const { proxy } = wllama as unknown as { readonly proxy: { readonly worker?: Worker } | null };
    proxy?.worker?.terminate();
    await Promise.resolve();
  };
  try {
    await wllama.loadModel([...files], {
      n_ctx: plan.nCtx,
      n_threads: plan.nThreads,
      n_batch: plan.nBatch,
      n_ubatch: plan.nUbatch,
      n_gpu_layers: 0,
      n_parallel: 1,
      kv_unified: false,
      embeddings: true,
      pooling_type: "mean",
      ctx_shift: false,
      cache_idle_slots: false,
      warmup: false,
      log_level: LogLevel.ERROR,
    });
  } catch (error) {
    await stop();
    throw loadError(error, complaint, sizeBytes);
  }
  complaint = "";
  return { wllama, said: () => complaint, stop };
}

/** The one wording of this error, also for the engine (its numbers are read from it). */
export function contextExceeded(needed: number, nCtx: number): TeaError {
  return TeaError.of(
    "ContextLengthExceeded",
    `the prompt has ${needed} tokens and the context ${nCtx}`,
    "shorten the prompt, or ask for a larger nCtx",
  );
}

function describe(wllama: Wllama, header: GgufHeader, sizeBytes: number): ModelInfo {
  const context = wllama.getLoadedContextInfo();
  return {
    name: header.name || "model",
    architecture: header.architecture,
    sizeBytes,
    nCtx: context.n_ctx,
    nThreads: wllama.getNumThreads(),
    addBos: context.add_bos_token,
    bosToken: header.bosToken,
    eosToken: header.eosToken,
    controlTokens: header.controlTokens,
    chatTemplate: wllama.getChatTemplate() ?? "",
    llamaCpp: Wllama.getLibllamaVersion(),
  };
}

function toPiece(chunk: RawCompletionChunk | ChatCompletionChunk, text: string): Piece {
  const choice = chunk.choices[0];
  const reason = choice?.finish_reason ?? null;
  const logprobs: unknown = choice?.logprobs; // its type says null, and that is only so where nobody asked for any
  return {
    text,
    finishReason: reason === "length" ? "length" : reason === null ? null : "stop",
    ...(logprobs ? { logprobs } : {}),
    ...(chunk.usage
      ? {
          usage: {
            promptTokens: chunk.usage.prompt_tokens,
            completionTokens: chunk.usage.completion_tokens,
            cachedTokens: chunk.usage.prompt_tokens_details?.cached_tokens ?? 0,
          },
        }
      : {}),
    ...(chunk.timings
      ? { timings: { prefillS: chunk.timings.prompt_ms / 1000, decodeS: chunk.timings.predicted_ms / 1000 } }
      : {}),
  };
}

/** The end of an answer, from the two chunks that llama.cpp makes of it. */
function joined(first: Piece | undefined, second: Piece): Piece {
  if (!first) return second;
  return { ...first, ...second, text: first.text + second.text, finishReason: first.finishReason ?? second.finishReason };
}

function crashError(what: string, cause: Error): TeaError {
  if (isOutOfMemory(what)) {
    return TeaError.of("OutOfMemory", "the tab's memory is used up", "take a smaller model or a smaller nCtx", "model", cause);
  }
  if (/schema/i.test(what)) {
    return new TeaError("SchemaUnsupported", [{ what, place: "jsonSchema", fix: "use plain JSON schema keywords" }], { cause });
  }
  return TeaError.of("Internal", `llama.cpp gave up: ${what}`, "the model is loaded again for the next call", "model", cause);
}

function loadError(error: unknown, complaint: string, sizeBytes: number): TeaError {
  const what = complaint || (error instanceof Error ? error.message : String(error));
  if (isOutOfMemory(what)) {
    return TeaError.of(
      "OutOfMemory",
      `the browser gave no memory for a model of ${(sizeBytes / 1e6).toFixed(0)} MB`,
      "close other tabs, or take a smaller model or a smaller nCtx",
      "initLlm",
      error,
    );
  }
  return TeaError.of("ModelLoadFailed", `llama.cpp can't load the model: ${what}`, "check that the GGUF is whole", "initLlm", error);
}

function isOutOfMemory(what: string): boolean {
  return /out of memory|memory access|bad_alloc|could not allocate|Cannot enlarge memory|Array buffer allocation/i.test(what);
}

const silent = (): void => undefined;
