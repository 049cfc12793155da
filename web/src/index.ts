/**
 * LLM agents in a browser tab: the same YAML, the same engine, the same answers, with nothing installed.
 *
 *     await Promise.all([initTeaLlm(), initLlm({ modelUrl: "models/tiny.gguf" })]);
 *     const { state } = await executeLlmYaml(yaml, { question: "What is 2+2?" }, { onEvent: console.log });
 *
 * These functions share one `Tea`; make your own instances for more.
 */

import type { CacheStatus } from "./cache/index.js";
import type {
  ChatAnswer,
  ChatOptions,
  LlmConfig,
  LlmHandler,
  RunHistory,
  RunOptions,
  RunResult,
  StartOptions,
  TeaConfig,
} from "./api-types.js";
import { TeaError } from "./errors.js";
import type { ChatMessage } from "./params.js";
import type { RunSummary } from "./stored.js";
import { Tea } from "./tea.js";
import type { ModelInfo, Piece } from "./wasm-model.js";

export { TeaError, type BrowserErrorName, type Problem } from "./errors.js";
export type { CacheStatus, LoadProgress, ManifestDocument } from "./cache/index.js";
export type { ChatMessage, SamplingOptions } from "./params.js";
export type { RunSummary } from "./stored.js";
export type { ModelInfo, Piece } from "./wasm-model.js";
export { Tea } from "./tea.js";
export type {
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

let shared: Tea | undefined;
let config: TeaConfig = {};

/** Start the engine (and `config.llm`, beside it). With a handler, agents ask it in place of a loaded model. */
export async function initTeaLlm(given: TeaConfig = {}, handler?: LlmHandler): Promise<void> {
  if (shared && (handler || given.assetsUrl !== undefined)) await closeTea();
  config = given;
  const tea = (shared ??= new Tea(given, handler));
  await Promise.all([tea.start(), given.llm && tea.initLlm(given.llm)]);
}

/** Load a model; needs no `initTeaLlm` before it, and runs beside it. */
export async function initLlm(given: LlmConfig): Promise<ModelInfo> {
  return await tea().initLlm(given);
}

/** Run an agent's YAML on `state`. The engine starts by itself where it hasn't. */
export async function executeLlmYaml(yaml: string, state?: Readonly<Record<string, unknown>>, options?: StartOptions): Promise<RunResult> {
  return await tea().run(yaml, state, options);
}

/** Go on with a kept run, with the answer to its question if it has one. */
export async function resumeRun(runId: string, options?: RunOptions & { readonly answer?: unknown }): Promise<RunResult> {
  return await tea().resume(runId, options);
}

/** Repeat a kept run from its log, without a model. */
export async function replayRun(runId: string, options?: RunOptions): Promise<RunResult> {
  return await tea().replay(runId, options);
}

/** The runs kept in this browser, the latest first. */
export async function listRuns(): Promise<RunSummary[]> {
  return await tea().listRuns();
}

/** What a kept run has come to. */
export async function runHistory(runId: string): Promise<RunHistory> {
  return await tea().history(runId);
}

/** Forget a kept run. */
export async function removeRun(runId: string): Promise<void> {
  await tea().removeRun(runId);
}

/** Forget what agents stored with memory.store. */
export async function forgetMemory(): Promise<void> {
  await tea().forgetMemory();
}

/** An agent as data, to be drawn. Raises WorkflowInvalid with every problem. */
export async function describeYaml(yaml: string, options?: { readonly file?: string; readonly allowCode?: boolean }): Promise<unknown> {
  return await tea().describe(yaml, options);
}

/** A whole answer of the loaded model. */
export async function chat(messages: string | readonly ChatMessage[], options?: ChatOptions): Promise<ChatAnswer> {
  return await tea().chat(messages, options);
}

/** The loaded model's answer as it comes; leaving the loop stops the model. */
export function chatStream(messages: string | readonly ChatMessage[], options?: ChatOptions): AsyncGenerator<Piece, void, void> {
  return tea().chatStream(messages, options);
}

/** Unit vectors of the loaded model, one a text. */
export async function embed(texts: string | readonly string[], options?: { readonly signal?: AbortSignal }): Promise<number[][]> {
  return await tea().embed(texts, options);
}

/** The loaded model. */
export async function modelInfo(): Promise<ModelInfo> {
  return await tea().modelInfo();
}

/** What the model cache holds and how much room there is. */
export async function cacheStatus(): Promise<CacheStatus> {
  return await tea().cacheStatus();
}

/** Delete one model of the cache, or all; gives how many are gone. */
export async function clearCache(source?: string | URL): Promise<number> {
  return await tea().clearCache(source);
}

/** Stop the workers and give their memory back. */
export function closeTea(): Promise<void> {
  shared?.close();
  shared = undefined;
  return Promise.resolve();
}

/** Whether a thrown value is this package's. */
export function isTeaError(error: unknown): error is TeaError {
  return error instanceof TeaError;
}

function tea(): Tea {
  return (shared ??= new Tea(config));
}
