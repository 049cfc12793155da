/**
 * The chunk manifest: what every piece of a model must be, and in which files it lies. The same document that
 * `tea models verify --manifest` reads; `files` is the web's own part of it. Pure: knows nothing of the network.
 */
import type { TeaError } from "../errors.js";
import { manifestInvalid } from "./errors.js";

export const SCHEMA = 1;
export const DEFAULT_CHUNK_BYTES = 8 * 1024 * 1024;
const SHA256_BLOCK_BYTES = 64;
const MOST_CHUNKS = 1_000_000;
const LARGEST_BYTES = 2 ** 50;
const DIGEST = /^[0-9a-f]{64}$/;

/** Bytes `offset` to `offset + sizeBytes` of the model; `sha256` is null where nobody has said it yet. */
export interface Chunk {
  readonly index: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly sha256: string | null;
}

/** A file that holds the bytes from `offset` on; `url` is relative to the manifest's address. */
export interface ModelFile {
  readonly url: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** A model, its version, its chunks in order and the files they are fetched from. */
export interface ChunkManifest {
  readonly model: string;
  readonly version: string;
  readonly sizeBytes: number;
  /** Null for a model that came without a manifest. */
  readonly sha256: string | null;
  readonly chunkBytes: number;
  readonly chunks: readonly Chunk[];
  readonly files: readonly ModelFile[];
}

/** The document as it is published (`model-manifest.json`). */
export interface ManifestDocument {
  schema: number;
  model: string;
  version: string;
  size: number;
  sha256: string | null;
  chunk_size: number;
  chunks: { offset: number; size: number; sha256: string | null }[];
  files?: { path: string; size: number }[];
}

/**
 * Read and check a manifest: chunks in order, without gap or overlap, up to the size, and so the files.
 *
 * `place` names it in errors. `modelUrl` is where the model lies if the document lists no files.
 * Throws a TeaError `ManifestInvalid` naming what is off.
 */
export function parseManifest(document: unknown, place: string, modelUrl?: string): ChunkManifest {
  const refuse = (what: string): TeaError => manifestInvalid(what, place);
  if (!isObject(document)) throw refuse("it is no JSON object");
  if (document.schema !== SCHEMA) {
    throw refuse(
      `its schema is ${document.schema === undefined ? "missing" : JSON.stringify(document.schema)} and not ${SCHEMA}`,
    );
  }
  const { size, chunk_size: chunkBytes, chunks, files, sha256 } = document;
  if (!isCount(size) || !isCount(chunkBytes) || !Array.isArray(chunks)) {
    throw refuse("size, chunk_size and chunks must be there");
  }
  if (chunkBytes < SHA256_BLOCK_BYTES || chunkBytes % SHA256_BLOCK_BYTES !== 0) {
    throw refuse(`chunk_size is ${chunkBytes}, which is no multiple of ${SHA256_BLOCK_BYTES}`);
  }
  if (!isDigest(sha256)) throw refuse("sha256 is no digest");
  return {
    model: text(document.model),
    version: text(document.version),
    sizeBytes: size,
    sha256,
    chunkBytes,
    chunks: parseChunks(chunks, size, chunkBytes, refuse),
    files: parseFiles(files, size, modelUrl, refuse),
  };
}

function parseChunks(
  entries: readonly unknown[],
  sizeBytes: number,
  chunkBytes: number,
  refuse: (what: string) => TeaError,
): Chunk[] {
  const expected = Math.ceil(sizeBytes / chunkBytes);
  if (expected > MOST_CHUNKS || entries.length !== expected) {
    throw refuse(`it lists ${entries.length} chunks, and ${expected} make ${sizeBytes} bytes`);
  }
  return cut(sizeBytes, chunkBytes).map((chunk) => {
    const entry = entries[chunk.index];
    if (!isObject(entry) || entry.offset !== chunk.offset || entry.size !== chunk.sizeBytes) {
      throw refuse(`chunk ${chunk.index} doesn't lie where the one before it ends`);
    }
    if (!isDigest(entry.sha256)) throw refuse(`the sha256 of chunk ${chunk.index} is no digest`);
    return { ...chunk, sha256: entry.sha256 };
  });
}

function parseFiles(
  entries: unknown,
  sizeBytes: number,
  modelUrl: string | undefined,
  refuse: (what: string) => TeaError,
): ModelFile[] {
  if (entries === undefined) {
    if (modelUrl === undefined) throw refuse("it lists no files, and no address of the model was given");
    return [{ url: modelUrl, offset: 0, sizeBytes }];
  }
  if (!Array.isArray(entries)) throw refuse("files is no list");
  const files: ModelFile[] = [];
  let offset = 0;
  for (const entry of entries as unknown[]) {
    if (!isObject(entry) || typeof entry.path !== "string" || !entry.path || !isCount(entry.size)) {
      throw refuse(`file ${files.length} has no path or no size`);
    }
    files.push({ url: entry.path, offset, sizeBytes: entry.size });
    offset += entry.size;
  }
  if (offset !== sizeBytes) throw refuse(`its files are ${offset} bytes together, and the model is ${sizeBytes}`);
  return files;
}

/** The document of a manifest; `parseManifest` of it gives the manifest again. */
export function toDocument(manifest: ChunkManifest): ManifestDocument {
  return {
    schema: SCHEMA,
    model: manifest.model,
    version: manifest.version,
    size: manifest.sizeBytes,
    sha256: manifest.sha256,
    chunk_size: manifest.chunkBytes,
    chunks: manifest.chunks.map(({ offset, sizeBytes, sha256 }) => ({ offset, size: sizeBytes, sha256 })),
    files: manifest.files.map(({ url, sizeBytes }) => ({ path: url, size: sizeBytes })),
  };
}

/** A manifest without digests, for a model of which only address, size and version are known. */
export function manifestOfUrl(url: string, sizeBytes: number, version: string): ChunkManifest {
  const name = new URL(url).pathname.split("/").pop() ?? "";
  return {
    model: decodeURIComponent(name) || url,
    version,
    sizeBytes,
    sha256: null,
    chunkBytes: DEFAULT_CHUNK_BYTES,
    chunks: cut(sizeBytes, DEFAULT_CHUNK_BYTES),
    files: [{ url, offset: 0, sizeBytes }],
  };
}

/** The same manifest with these digests filled in (by chunk index). */
export function withDigests(manifest: ChunkManifest, digests: ReadonlyMap<number, string>): ChunkManifest {
  const chunks = manifest.chunks.map((chunk) => ({ ...chunk, sha256: digests.get(chunk.index) ?? chunk.sha256 }));
  return { ...manifest, chunks };
}

/** The same manifest with every file's address made absolute. */
export function resolveFiles(manifest: ChunkManifest, base: string): ChunkManifest {
  const files = manifest.files.map((file) => ({ ...file, url: new URL(file.url, base).href }));
  return { ...manifest, files };
}

/** Chunks of `chunkBytes`, the last one shorter, without digests. */
export function cut(sizeBytes: number, chunkBytes: number): Chunk[] {
  const chunks: Chunk[] = [];
  for (let offset = 0; offset < sizeBytes; offset += chunkBytes) {
    chunks.push({
      index: chunks.length,
      offset,
      sizeBytes: Math.min(chunkBytes, sizeBytes - offset),
      sha256: null,
    });
  }
  return chunks;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < LARGEST_BYTES;
}

function isDigest(value: unknown): value is string {
  return typeof value === "string" && DIGEST.test(value);
}
