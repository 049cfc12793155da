/** The worker that owns the model: loads it through the cache, answers the page and, over a port, the engine. */

import { cacheStatus, clearCache, openModel, type ModelSource } from "./cache/index.js";
import { TeaError } from "./errors.js";
import { fits, modelTooLarge } from "./load-plan.js";
import { serve, type CallContext, type Endpoint, type Methods } from "./rpc.js";
import { WasmModel, type CompletionBody, type ModelInfo } from "./wasm-model.js";

/** What the page's `initLlm` asks for. */
export interface LoadParams {
  readonly source?: ModelSource | undefined;
  readonly files?: readonly Blob[] | undefined;
  readonly modelBasePath?: string | undefined;
  readonly modelUrl?: string | undefined;
  readonly useCache?: boolean | undefined;
  readonly nThreads?: number | undefined;
  readonly nCtx?: number | undefined;
  readonly wasmUrl: string;
}

let model: WasmModel | undefined;
/** A load under way; the engine's questions wait for it. */
let loading: Promise<ModelInfo> | undefined;

async function load(params: LoadParams, context: CallContext): Promise<ModelInfo> {
  const before = model;
  model = undefined;
  await before?.close();
  const wishes = { nThreads: params.nThreads, nCtx: params.nCtx };
  if (params.files) {
    model = await WasmModel.load(params.files, params.wasmUrl, wishes);
    return model.info;
  }
  const tooLarge = new AbortController();
  const opened = await openModel(params.source ?? "", {
    modelBasePath: params.modelBasePath,
    modelUrl: params.modelUrl,
    useCache: params.useCache,
    signal: AbortSignal.any([context.signal, tooLarge.signal]),
    onProgress: (progress) => {
      if (!fits(progress.totalBytes)) tooLarge.abort(modelTooLarge(progress.totalBytes));
      context.emit({ progress });
    },
    onNotice: (notice) => {
      context.emit({ notice });
    },
  });
  try {
    model = await WasmModel.load(opened.blobs, params.wasmUrl, wishes);
  } finally {
    opened.close();
  }
  return model.info;
}

async function loaded(): Promise<WasmModel> {
  await loading?.catch(() => undefined);
  if (model) return model;
  throw TeaError.of("NotReady", "no model is loaded", "call initLlm first, or give initTeaLlm a handler");
}

const forAll: Methods = {
  info: async () => (await loaded()).info,
  complete: async (body: CompletionBody, { emit, signal }) => {
    await (await loaded()).complete(body, emit, signal);
  },
  embed: async ({ text }: { text: string }, { signal }) => (await loaded()).embed(text, signal),
};

serve(self as unknown as Endpoint, {
  ...forAll,
  chat: async (body: Readonly<Record<string, unknown>>, { emit, signal }) => {
    await (await loaded()).chat(body, emit, signal);
  },
  load: (params: LoadParams, context) => (loading = load(params, context)),
  unload: async () => {
    await model?.close();
    model = undefined;
  },
  connect: ({ port }: { port: MessagePort }) => {
    serve(port, forAll);
  },
  cacheStatus: () => cacheStatus(),
  clearCache: ({ source }: { source?: ModelSource }) => clearCache(source),
});
