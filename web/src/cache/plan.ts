/**
 * What to fetch and what to give up, as plain arithmetic: the byte spans that are missing, the files a span crosses,
 * the models that make room for a new one. Decides; fetches and deletes nothing.
 */
import type { Chunk, ChunkManifest, ModelFile } from "./manifest.js";

/** Bytes `from` to `to` (exclusive) of a model. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A span of one file; `from` and `to` count from the file's own first byte. */
export interface FileSpan extends Span {
  readonly url: string;
  readonly fileBytes: number;
}

/** A model on disk as eviction sees it. `usedAt` is in ms since the epoch. */
export interface Resident {
  readonly folder: string;
  readonly bytes: number;
  readonly usedAt: number;
}

/**
 * What a chunk's blobs are called, less the ending: its digest, so that two versions of a model share what they have in
 * common; its place and the version's tag where the digest isn't known beforehand.
 */
export function chunkStem(chunk: Chunk, versionTag: string, promised: boolean): string {
  return promised && chunk.sha256 !== null ? `c-${chunk.sha256}` : `u-${versionTag}-${chunk.index}`;
}

/** The name a whole chunk is kept under. A digest that nobody promised is part of the name, and so found again. */
export function chunkName(chunk: Chunk, versionTag: string, promised: boolean): string {
  const stem = chunkStem(chunk, versionTag, promised);
  return promised ? stem : `${stem}-${chunk.sha256 ?? ""}`;
}

/** The digests that the names of kept chunks tell, by chunk index; of a model without a manifest. */
export function learnedDigests(names: Iterable<string>, versionTag: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of names) {
    const [kind, tag, index, digest] = name.split("-");
    if (kind === "u" && tag === versionTag && digest?.length === 64) found.set(Number(index), digest);
  }
  return found;
}

/** The name of a piece of an unfinished chunk, `at` bytes into it. */
export function partName(stem: string, at: number): string {
  return `p-${stem}-${at}`;
}

/** The pieces of an unfinished chunk that follow one another from its start, in order. */
export function usableParts(
  stem: string,
  chunkBytes: number,
  sizes: ReadonlyMap<string, number>,
): { name: string; at: number; sizeBytes: number }[] {
  const parts: { name: string; at: number; sizeBytes: number }[] = [];
  let at = 0;
  for (;;) {
    const name = partName(stem, at);
    const sizeBytes = sizes.get(name) ?? 0;
    if (sizeBytes === 0 || at + sizeBytes > chunkBytes) return parts;
    parts.push({ name, at, sizeBytes });
    at += sizeBytes;
  }
}

/** The spans to ask the server for: missing chunks, less what is here of each, neighbours joined. */
export function missingSpans(missing: readonly { chunk: Chunk; haveBytes: number }[]): Span[] {
  const spans: Span[] = [];
  for (const { chunk, haveBytes } of missing) {
    const from = chunk.offset + haveBytes;
    const to = chunk.offset + chunk.sizeBytes;
    const last = spans[spans.length - 1];
    if (last?.to === from) spans[spans.length - 1] = { from: last.from, to };
    else if (from < to) spans.push({ from, to });
  }
  return spans;
}

/** The parts of files that make up a span, in order. */
export function spanInFiles(span: Span, files: readonly ModelFile[]): FileSpan[] {
  const found: FileSpan[] = [];
  for (const file of files) {
    const from = Math.max(span.from, file.offset);
    const to = Math.min(span.to, file.offset + file.sizeBytes);
    if (from < to) {
      found.push({ url: file.url, from: from - file.offset, to: to - file.offset, fileBytes: file.sizeBytes });
    }
  }
  return found;
}

/**
 * The models to delete, least recently used first, so that `neededBytes` fit into `freeBytes`.
 *
 * Gives the shortest such list, and all of `residents` where even that isn't enough.
 */
export function evictions(neededBytes: number, freeBytes: number, residents: readonly Resident[]): Resident[] {
  const chosen: Resident[] = [];
  let free = freeBytes;
  for (const resident of [...residents].sort((a, b) => a.usedAt - b.usedAt)) {
    if (free >= neededBytes) break;
    chosen.push(resident);
    free += resident.bytes;
  }
  return chosen;
}

/**
 * The GGUF files inside the model, as spans: one for a split GGUF's every shard (`-00001-of-00003.gguf`), else the whole.
 * Parts of a file that was merely cut up for a host's size limit belong together.
 */
export function ggufSpans(manifest: ChunkManifest): Span[] {
  const shards = manifest.files.every((file) => /-\d{5}-of-\d{5}\.gguf$/.test(new URL(file.url, "http://x").pathname));
  if (!shards || manifest.files.length < 2) return [{ from: 0, to: manifest.sizeBytes }];
  return manifest.files.map((file) => ({ from: file.offset, to: file.offset + file.sizeBytes }));
}
