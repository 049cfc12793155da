/** What the package's functions take and give. Types alone. */

import type { LoadProgress, ManifestDocument } from "./cache/index.js";
import type { ChatMessage, SamplingOptions } from "./params.js";
import type { ModelInfo, Piece } from "./wasm-model.js";

export interface TeaConfig {
  /** Where the package's dist folder is served; beside this module by default. */
  readonly assetsUrl?: string | URL;
  /** Load this model at once, while the engine starts. */
  readonly llm?: LlmConfig;
}

export interface LlmConfig {
  /** A GGUF, or a model manifest (`….json`). */
  readonly modelUrl?: string | URL;
  /** The folder that the manifest's files lie in; alone, the folder of `model-manifest.json`. */
  readonly modelBasePath?: string | URL;
  /** A GGUF the page already has, its shards in order. */
  readonly files?: readonly Blob[];
  readonly manifest?: ManifestDocument | string | URL;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Sentences about what went another way than one would wish, e.g. that nothing could be kept. */
  readonly onNotice?: (sentence: string) => void;
  readonly onReady?: (info: ModelInfo) => void;
  readonly useCache?: boolean;
  readonly nThreads?: number;
  readonly nCtx?: number;
  readonly signal?: AbortSignal;
}

/** A request as a handler gets it: OpenAI's shape. */
export interface HandlerRequest {
  readonly messages: readonly (ChatMessage & { readonly tool_call_id?: string })[];
  readonly temperature: number;
  readonly max_tokens: number | null;
  readonly top_p: number;
  readonly seed: number | null;
  readonly stop: readonly string[];
  readonly response_format?: unknown;
}

/** Answers the agents' model calls in place of a loaded model: a whole text, or pieces as they come. */
export type LlmHandler = (
  request: HandlerRequest,
  context: { readonly signal: AbortSignal },
) => string | Promise<string> | AsyncIterable<string>;

export interface ChatOptions extends SamplingOptions {
  readonly signal?: AbortSignal;
}

export interface ChatAnswer {
  readonly text: string;
  readonly finishReason: "stop" | "length";
  readonly usage: NonNullable<Piece["usage"]>;
  readonly timings: NonNullable<Piece["timings"]>;
}

/** An event of a run, as `tea run --stream` prints it: `type`, `run_id`, `at_s` and what belongs to the type. */
export interface RunEvent {
  readonly type: string;
  readonly run_id: string;
  readonly at_s: number;
  readonly [field: string]: unknown;
}

/** A question to a person: kind is text, choice, confirm, json or approve. */
export interface Question {
  readonly kind: string;
  readonly prompt: string;
  readonly choices?: readonly unknown[];
  readonly schema?: unknown;
  readonly node: string;
  readonly address: string;
  /** Why the last answer didn't fit. */
  readonly problem?: string;
}

export interface RunOptions {
  readonly onEvent?: (event: RunEvent) => void;
  readonly signal?: AbortSignal;
  /** Shows a question to a person; without it a question stops the run, to be resumed with the answer. */
  readonly onQuestion?: (question: Question) => unknown;
  /** Tell the tokens of every model call, also of nodes that don't say `stream: true`. */
  readonly watchTokens?: boolean;
  /** Let `run: |` nodes run their Python in this tab. */
  readonly allowCode?: boolean;
  readonly secrets?: Readonly<Record<string, string>>;
}

export interface StartOptions extends RunOptions {
  readonly runId?: string;
  /** Keep the run in this browser so that it can be resumed; true unless said otherwise. */
  readonly keep?: boolean;
  readonly seed?: number;
  readonly variables?: Readonly<Record<string, unknown>>;
  /** The agent's name in messages. */
  readonly file?: string;
}

/** How a run ended: finished, or waiting for an answer. A failed run raises its error. */
export interface RunResult {
  readonly runId: string;
  readonly status: "finished" | "interrupted";
  readonly state: Readonly<Record<string, unknown>>;
  readonly question?: Question;
  readonly usage: Readonly<Record<string, number>>;
}

/** What a kept run has come to. */
export interface RunHistory {
  readonly status: string;
  readonly workflow: string;
  readonly text: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly questions: readonly Question[];
}
