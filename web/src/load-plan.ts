/**
 * Decides how a model is put into the browser's memory: context, threads, batches, or a refusal in a sentence. Pure.
 *
 * The rules are those of the native engine (llama/plan.py), so that one file gets one context everywhere.
 */

import { TeaError } from "./errors.js";
import type { GgufHeader } from "./gguf-header.js";

/** What the page asks for; undefined leaves it to the rules. */
export interface LoadWishes {
  readonly nCtx?: number | undefined;
  readonly nThreads?: number | undefined;
}

/** What the browser has. */
export interface BrowserFacts {
  /** Whether threads can share memory: COOP and COEP are set. */
  readonly isolated: boolean;
  readonly cores: number;
}

export interface LoadPlan {
  readonly nCtx: number;
  readonly nThreads: number;
  readonly nBatch: number;
  readonly nUbatch: number;
  /** Text at temperature 0 doesn't depend on what was asked before: no prompt cache, small batches. */
  readonly deterministic: boolean;
}

const GB = 1 << 30;
/** WebAssembly's memory ends at 4 GiB, and a context and buffers need some of it. */
export const MAX_MODEL_BYTES = 4 * GB - (256 << 20);
const MAX_MEMORY_BYTES = 4 * GB;
const TINY_BYTES = 64 << 20;
const UNASKED_N_CTX = 8192;
const FALLBACK_N_CTX = 2048;
const MIN_N_CTX = 256;
const CELL_ROUNDING = 256;
const UNASKED_KV_BYTES = 256 << 20;
const EXACT_UBATCH = 48;
const EXACT_SEQUENCES = 4;

/** Choose. Raises ModelTooLarge, OutOfMemory, BadParameters. */
export function planLoad(sizeBytes: number, header: GgufHeader, wishes: LoadWishes, facts: BrowserFacts): LoadPlan {
  if (!fits(sizeBytes)) throw modelTooLarge(sizeBytes);
  checkWish("nCtx", wishes.nCtx, 8, 1 << 24);
  checkWish("nThreads", wishes.nThreads, 1, 256);
  const tiny = sizeBytes <= TINY_BYTES;
  const nCtx = wishes.nCtx ?? unaskedContext(sizeBytes, header, tiny);
  const needed = sizeBytes + nCtx * header.kvBytesPerToken;
  if (needed > MAX_MEMORY_BYTES) {
    throw TeaError.of(
      "OutOfMemory",
      `the model and a context of ${nCtx} tokens need ${gigabytes(needed)}, and a tab's memory ends at 4 GB`,
      `ask for a smaller nCtx, at most ${Math.floor((MAX_MEMORY_BYTES - sizeBytes) / header.kvBytesPerToken)}`,
      "initLlm",
    );
  }
  const cores = wishes.nThreads ?? (tiny ? 1 : Math.max(1, Math.floor(facts.cores / 2)));
  return {
    nCtx,
    nThreads: facts.isolated ? cores : 1,
    nBatch: 512,
    nUbatch: tiny ? EXACT_UBATCH : 512,
    deterministic: tiny,
  };
}

/** Whether a model of that size can be loaded at all: known before anything is downloaded. */
export function fits(sizeBytes: number): boolean {
  return sizeBytes <= MAX_MODEL_BYTES;
}

/** Why it can't. */
export function modelTooLarge(sizeBytes: number): TeaError {
  return TeaError.of(
    "ModelTooLarge",
    `the model has ${gigabytes(sizeBytes)}, and a tab's memory ends at 4 GB`,
    "take a smaller model or quantization (Gemma 3 1B fits), or run this one natively with tea",
    "initLlm",
  );
}

function unaskedContext(sizeBytes: number, header: GgufHeader, tiny: boolean): number {
  const budget = Math.max(UNASKED_KV_BYTES, sizeBytes / 8);
  const cells = header.kvBytesPerToken ? Math.floor(budget / header.kvBytesPerToken / CELL_ROUNDING) * CELL_ROUNDING : UNASKED_N_CTX;
  const share = tiny ? Math.floor(cells / EXACT_SEQUENCES) : cells;
  return Math.max(MIN_N_CTX, Math.min(header.contextLength || FALLBACK_N_CTX, UNASKED_N_CTX, share));
}

function checkWish(name: string, value: number | undefined, low: number, high: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= low && value <= high)) return;
  throw TeaError.of("BadParameters", `${name} is ${String(value)}`, `give a whole number from ${low} to ${high}`, "initLlm");
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
