/**
 * Which model is asked for: a manifest, a manifest's address, or a model's address alone. Finds out what the server has
 * now, and falls back to what was known the last time where there is no server.
 */
import type { TeaError } from "../errors.js";
import { downloadFailed, manifestInvalid } from "./errors.js";
import { manifestOfUrl, parseManifest, resolveFiles, type ChunkManifest, type ManifestDocument } from "./manifest.js";

/** A manifest document, or the address of one (`….json`) or of a model file. */
export type ModelSource = string | URL | ManifestDocument;

export interface SourceOptions {
  /** Where a manifest's files lie, instead of beside the manifest. */
  readonly modelBasePath?: string | URL | undefined;
  /** Where the model lies if the manifest lists no files. */
  readonly modelUrl?: string | URL | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a source is called in the cache: the same for every version of it. */
export function sourceId(source: ModelSource, base: string): string {
  return typeof source === "string" || source instanceof URL ? new URL(source, base).href : `model:${source.model}`;
}

/** The manifest as the server has it now. Throws `ManifestInvalid`, `DownloadFailed` (also when offline). */
export async function resolveManifest(
  source: ModelSource,
  base: string,
  options: SourceOptions,
): Promise<ChunkManifest> {
  const modelUrl = options.modelUrl === undefined ? undefined : new URL(options.modelUrl, base).href;
  if (typeof source !== "string" && !(source instanceof URL)) {
    const files = new URL(options.modelBasePath ?? base, base).href;
    return resolveFiles(parseManifest(source, "the manifest", modelUrl), files);
  }
  const url = new URL(source, base);
  if (!url.pathname.endsWith(".json")) return headOfModel(url.href, options.signal);
  const response = await ask(url.href, {}, options.signal);
  let document: unknown;
  try {
    document = await response.json();
  } catch (error) {
    options.signal?.throwIfAborted();
    throw notJson(url.href, error);
  }
  return resolveFiles(parseManifest(document, url.href, modelUrl), new URL(options.modelBasePath ?? url, url).href);
}

/** A model without a manifest: its size and version are what the server says of it. */
async function headOfModel(url: string, signal?: AbortSignal): Promise<ChunkManifest> {
  const { headers } = await ask(url, { method: "HEAD" }, signal);
  const length = headers.get("content-length");
  const sizeBytes = Number(length);
  if (length === null || !Number.isInteger(sizeBytes) || headers.has("content-encoding")) {
    throw downloadFailed("the server doesn't say how long the model is", url, "publish a chunk manifest beside it");
  }
  const version = headers.get("etag") ?? headers.get("last-modified") ?? `${sizeBytes} bytes`;
  return manifestOfUrl(url, sizeBytes, version);
}

async function ask(url: string, init: RequestInit, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, cache: "no-cache", ...(signal ? { signal } : {}) });
  } catch (error) {
    signal?.throwIfAborted();
    throw new Unreachable(url, error);
  }
  if (response.ok) return response;
  const what = `the server answered ${response.status} ${response.statusText}`.trim();
  if (response.status >= 500) throw new Unreachable(url, new Error(what));
  throw downloadFailed(what, url, "check the model's address");
}

function notJson(url: string, cause: unknown): TeaError {
  return manifestInvalid(`it is no JSON document (${(cause as Error).message})`, url);
}

/** Nobody answers there: a cached model may serve instead. */
export class Unreachable extends Error {
  readonly url: string;

  constructor(url: string, cause: unknown) {
    super((cause as Error).message, { cause });
    this.url = url;
  }

  /** What to throw where nothing is cached. */
  toError(): TeaError {
    return downloadFailed(
      `it can't be reached (${this.message}) and isn't in the cache`,
      this.url,
      "go online once to load it",
      this,
    );
  }
}
