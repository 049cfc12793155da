import { describe, expect, test } from "vitest";

import type { GgufHeader } from "./gguf-header.js";
import { MAX_MODEL_BYTES, planLoad } from "./load-plan.js";

const GEMMA_1B: GgufHeader = {
  architecture: "gemma3",
  name: "gemma",
  contextLength: 32768,
  kvBytesPerToken: 26 * 1 * 512 * 2,
  controlTokens: [],
  bosToken: "<bos>",
  eosToken: "<eos>",
};
const TINY: GgufHeader = { ...GEMMA_1B, contextLength: 2048, kvBytesPerToken: 4608 };
const ISOLATED = { isolated: true, cores: 8 };

describe("how a model is loaded", () => {
  test("a context that nobody asked for is bounded, whatever the model was trained for", () => {
    expect(planLoad(1e9, GEMMA_1B, {}, ISOLATED).nCtx).toBe(8192);
  });

  test("a wish for a context is a wish", () => {
    expect(planLoad(1e9, GEMMA_1B, { nCtx: 20_000 }, ISOLATED).nCtx).toBe(20_000);
  });

  test("a tiny model takes one thread and answers deterministically", () => {
    expect(planLoad(3e6, TINY, {}, ISOLATED)).toEqual({ nCtx: 2048, nThreads: 1, nBatch: 512, nUbatch: 48, deterministic: true });
  });

  test("half the cores are used where pages may share memory, else one", () => {
    expect(planLoad(1e9, GEMMA_1B, {}, ISOLATED).nThreads).toBe(4);
    expect(planLoad(1e9, GEMMA_1B, { nThreads: 6 }, { isolated: false, cores: 8 }).nThreads).toBe(1);
  });

  test("a model beyond a tab's memory is refused, and so is a context", () => {
    expect(() => planLoad(MAX_MODEL_BYTES + 1, GEMMA_1B, {}, ISOLATED)).toThrow("a tab's memory ends at 4 GB; take a smaller model");
    expect(() => planLoad(3e9, GEMMA_1B, { nCtx: 131_072 }, ISOLATED)).toThrow(/ask for a smaller nCtx, at most \d+/);
  });

  test("a wish that is no number is refused by name", () => {
    expect(() => planLoad(1e9, GEMMA_1B, { nCtx: 2.5 }, ISOLATED)).toThrow("initLlm: nCtx is 2.5; give a whole number");
    expect(() => planLoad(1e9, GEMMA_1B, { nThreads: 0 }, ISOLATED)).toThrow("initLlm: nThreads is 0");
  });
});
