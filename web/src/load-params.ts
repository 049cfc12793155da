/** Turns what a page says about a model into what the model's worker is asked, addresses made absolute. */

import type { LlmConfig } from "./api-types.js";
import { TeaError } from "./errors.js";
import type { LoadParams } from "./model-worker.js";

/** Raises BadParameters where no model is named, or an address is none. */
export function loadParams(config: LlmConfig, wasmUrl: string): LoadParams {
  const { files, manifest, modelBasePath, modelUrl, useCache, nThreads, nCtx } = config;
  const common = { useCache, nThreads, nCtx, wasmUrl };
  if (files) return { ...common, files };
  const folder = modelBasePath === undefined ? undefined : withSlash(absolute(modelBasePath));
  const source = manifest ?? modelUrl ?? (folder === undefined ? undefined : new URL("model-manifest.json", folder));
  if (source === undefined) {
    throw TeaError.of("BadParameters", "no model is named", "give modelUrl, modelBasePath, manifest or files", "initLlm");
  }
  return {
    ...common,
    source: typeof source === "string" || source instanceof URL ? absolute(source) : source,
    modelBasePath: folder,
    modelUrl: manifest !== undefined && modelUrl !== undefined ? absolute(modelUrl) : undefined,
  };
}

function absolute(url: string | URL): string {
  try {
    return new URL(url, document.baseURI).href;
  } catch {
    throw TeaError.of("BadParameters", `${String(url)} is no address`, "give a URL, absolute or relative to the page", "initLlm");
  }
}

function withSlash(url: string): string {
  return url.endsWith("/") ? url : `${url}/`;
}
