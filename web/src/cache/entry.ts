/** What is written down beside a model's chunks: its source, its manifest and when it was last used. */
import type { BlobStore } from "./blob-store.js";
import { cut, type ChunkManifest, type ModelFile } from "./manifest.js";

const ENTRY = "entry.json";
const USED = "used.json";

/** One model of the cache. */
export interface Entry {
  readonly source: string;
  readonly manifest: ChunkManifest;
  /** Whether every chunk was there when it was written down. */
  readonly complete: boolean;
}

interface EntryDocument {
  source: string;
  complete: boolean;
  model: string;
  version: string;
  size: number;
  sha256: string | null;
  chunkBytes: number;
  digests: (string | null)[];
  files: ModelFile[];
}

/** The folder's entry, or undefined where there is none or it can't be read. */
export async function readEntry(store: BlobStore, folder: string): Promise<Entry | undefined> {
  try {
    const text = await (await store.get(folder, ENTRY))?.text();
    if (text === undefined) return undefined;
    const raw = JSON.parse(text) as EntryDocument;
    const chunks = cut(raw.size, raw.chunkBytes).map((c) => ({ ...c, sha256: raw.digests[c.index] ?? null }));
    const { source, complete, model, version, size: sizeBytes, sha256, chunkBytes, files } = raw;
    return { source, complete, manifest: { model, version, sizeBytes, sha256, chunkBytes, chunks, files } };
  } catch {
    // A damaged note is no note: the chunks are named by their digests and are found again.
    return undefined;
  }
}

export async function writeEntry(store: BlobStore, folder: string, entry: Entry): Promise<void> {
  const { model, version, sizeBytes: size, sha256, chunkBytes, chunks, files } = entry.manifest;
  const document: EntryDocument = {
    source: entry.source,
    complete: entry.complete,
    model,
    version,
    size,
    sha256,
    chunkBytes,
    digests: chunks.map((chunk) => chunk.sha256),
    files: [...files],
  };
  await store.put(folder, ENTRY, json(document));
}

/** When the model was last opened, ms since the epoch; 0 where nobody noted it. */
export async function readUsedAt(store: BlobStore, folder: string): Promise<number> {
  try {
    return Number(await (await store.get(folder, USED))?.text()) || 0;
  } catch {
    return 0;
  }
}

export async function writeUsedAt(store: BlobStore, folder: string, at: number): Promise<void> {
  await store.put(folder, USED, json(at));
}

/** Whether a blob of the folder is a chunk or a piece of one (and not a note). */
export function isData(name: string): boolean {
  return name !== ENTRY && name !== USED;
}

function json(value: unknown): Blob {
  return new Blob([JSON.stringify(value)], { type: "application/json" });
}
