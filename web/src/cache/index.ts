/**
 * The model cache: `openModel(source, options)` and what goes with it.
 *
 *     const model = await openModel("model-manifest.json", { onProgress, onNotice, signal });
 *     await wllama.loadModel([...model.blobs]);
 *     model.close();
 */
import {
  ModelCache,
  type CacheOptions,
  type CacheStatus,
  type OpenedModel,
  type OpenModelOptions,
} from "./model-cache.js";
import type { ModelSource } from "./model-source.js";

export { ModelCache } from "./model-cache.js";
export type {
  CachedModel,
  CacheOptions,
  CacheStatus,
  LoadPhase,
  LoadProgress,
  OpenedModel,
  OpenModelOptions,
} from "./model-cache.js";
export type { ModelSource } from "./model-source.js";
export type { Chunk, ChunkManifest, ManifestDocument, ModelFile } from "./manifest.js";
export type { StoreKind } from "./blob-store.js";
export { parseManifest } from "./manifest.js";

let opened: Promise<ModelCache> | undefined;

/** The page's cache; `options` count the first time. */
export function modelCache(options?: CacheOptions): Promise<ModelCache> {
  return (opened ??= ModelCache.open(options));
}

/** Open a model of the page's cache: see `ModelCache.openModel`. */
export async function openModel(source: ModelSource, options?: OpenModelOptions): Promise<OpenedModel> {
  return (await modelCache()).openModel(source, options);
}

/** What the page's cache holds. */
export async function cacheStatus(): Promise<CacheStatus> {
  return (await modelCache()).status();
}

/** Delete a model of the page's cache, or all; gives how many are gone. */
export async function clearCache(source?: ModelSource): Promise<number> {
  return (await modelCache()).clear(source);
}
