/**
 * Fetches the chunks that are missing: one stream over each gap, cut into chunks, each checked before it is kept.
 * Pieces of a chunk that a slow line has brought so far are kept too, so that a closed tab goes on inside the chunk.
 */
import { streamSpan, type StreamOptions } from "./byte-stream.js";
import { digestMismatch } from "./errors.js";
import type { Chunk, ChunkManifest } from "./manifest.js";
import { chunkName, chunkStem, missingSpans, partName, spanInFiles, usableParts } from "./plan.js";
import { sha256 } from "./sha256.js";
import type { Shelf } from "./shelf.js";

/** A piece of a chunk is kept when it is this old, so a fast line writes whole chunks alone. */
const PART_AFTER_MS = 1_000;
/** Chunks that are hashed and written while the next one comes in. */
const MOST_IN_FLIGHT = 3;

type Bytes = Uint8Array<ArrayBuffer>;

export interface FillOptions extends StreamOptions {
  readonly versionTag: string;
  /** Bytes that came, or that were found as pieces; negative where bytes have to come again. */
  readonly onBytes: (bytes: number) => void;
}

/** A chunk that came: its digest and what to read it from. */
export interface Filled {
  readonly sha256: string;
  readonly blob: Blob;
}

/** Fetch `missing` chunks of a model. Throws `DownloadFailed`, `DigestMismatch`, or what the signal aborts with. */
export async function fill(
  manifest: ChunkManifest,
  missing: readonly Chunk[],
  shelf: Shelf,
  options: FillOptions,
): Promise<Map<number, Filled>> {
  return new Filling(manifest, shelf, options).run(missing);
}

/** The chunk that is coming in. */
interface Coming {
  readonly chunk: Chunk;
  readonly bytes: Bytes;
  readonly parts: string[];
  length: number;
  /** How much of it is kept as pieces, and when that was last so. */
  keptLength: number;
  keptAt: number;
}

class Filling {
  readonly #manifest: ChunkManifest;
  readonly #shelf: Shelf;
  readonly #options: FillOptions;
  readonly #filled = new Map<number, Filled>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #started = new Map<number, Coming>();
  readonly #failures: unknown[] = [];

  constructor(manifest: ChunkManifest, shelf: Shelf, options: FillOptions) {
    this.#manifest = manifest;
    this.#shelf = shelf;
    this.#options = options;
  }

  async run(missing: readonly Chunk[]): Promise<Map<number, Filled>> {
    const sizes = await this.#shelf.sizes();
    const have: { chunk: Chunk; haveBytes: number }[] = [];
    for (const chunk of missing) {
      const parts = usableParts(this.#stem(chunk), chunk.sizeBytes, sizes);
      if (parts.length > 0) await this.#pickUp(chunk, parts);
      have.push({ chunk, haveBytes: this.#started.get(chunk.index)?.length ?? 0 });
    }
    try {
      for (const { chunk } of have)
        if (this.#started.get(chunk.index)?.length === chunk.sizeBytes) await this.#settle(chunk);
      for (const span of missingSpans(have)) {
        let at = span.from;
        for (const part of spanInFiles(span, this.#manifest.files)) {
          for await (const bytes of streamSpan(part, this.#options)) {
            this.#options.onBytes(bytes.length);
            at = await this.#take(bytes, at);
          }
        }
      }
      await Promise.all(this.#inFlight);
      this.#throwFailure();
    } catch (error) {
      await Promise.all(this.#inFlight);
      await this.#keepPieces();
      throw error;
    }
    return this.#filled;
  }

  /** Put bytes where they belong; gives the place behind them. */
  async #take(bytes: Bytes, at: number): Promise<number> {
    let rest = bytes;
    while (rest.length > 0) {
      const chunk = this.#manifest.chunks[Math.floor(at / this.#manifest.chunkBytes)];
      if (!chunk) throw new Error(`byte ${at} lies in no chunk`);
      const coming = this.#coming(chunk);
      const taken = rest.subarray(0, chunk.sizeBytes - coming.length);
      coming.bytes.set(taken, coming.length);
      coming.length += taken.length;
      at += taken.length;
      rest = rest.subarray(taken.length);
      if (coming.length === chunk.sizeBytes) await this.#settle(chunk);
      else if (performance.now() - coming.keptAt > PART_AFTER_MS) await this.#keepPiece(coming);
    }
    return at;
  }

  #coming(chunk: Chunk): Coming {
    let coming = this.#started.get(chunk.index);
    if (!coming) {
      const bytes = new Uint8Array(chunk.sizeBytes);
      coming = { chunk, bytes, parts: [], length: 0, keptLength: 0, keptAt: performance.now() };
      this.#started.set(chunk.index, coming);
    }
    return coming;
  }

  async #pickUp(chunk: Chunk, parts: readonly { name: string; at: number }[]): Promise<void> {
    const coming = this.#coming(chunk);
    for (const { name, at } of parts) {
      const blob = await this.#shelf.get(name);
      if (!blob) break;
      const bytes = new Uint8Array(await blob.arrayBuffer());
      coming.bytes.set(bytes, at);
      coming.parts.push(name);
      coming.length = coming.keptLength = at + bytes.length;
    }
    this.#options.onBytes(coming.length);
  }

  async #keepPieces(): Promise<void> {
    for (const coming of this.#started.values()) await this.#keepPiece(coming).catch(() => undefined);
  }

  async #keepPiece(coming: Coming): Promise<void> {
    if (coming.length === coming.keptLength || coming.length === coming.chunk.sizeBytes) return;
    const name = partName(this.#stem(coming.chunk), coming.keptLength);
    await this.#shelf.putIfRoom(name, new Blob([coming.bytes.subarray(coming.keptLength, coming.length)]));
    coming.parts.push(name);
    coming.keptLength = coming.length;
    coming.keptAt = performance.now();
  }

  #throwFailure(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** Check and keep a chunk that is all there, while the next one comes in. */
  async #settle(chunk: Chunk): Promise<void> {
    const coming = this.#coming(chunk);
    this.#started.delete(chunk.index);
    const settling = this.#keep(coming)
      .catch((error: unknown) => void this.#failures.push(error))
      .finally(() => this.#inFlight.delete(settling));
    this.#inFlight.add(settling);
    if (this.#inFlight.size >= MOST_IN_FLIGHT) await Promise.race(this.#inFlight);
    this.#throwFailure();
  }

  async #keep({ chunk, bytes, parts }: Coming): Promise<void> {
    const { versionTag } = this.#options;
    const promised = this.#manifest.sha256 !== null;
    let sound = bytes;
    let digest = await sha256(sound);
    if (promised && digest !== chunk.sha256) {
      sound = await this.#again(chunk);
      digest = await sha256(sound);
      if (digest !== chunk.sha256) throw digestMismatch(chunk.index, this.#place(chunk));
    }
    const blob = await this.#shelf.put(
      chunkName({ ...chunk, sha256: digest }, versionTag, promised),
      new Blob([sound]),
    );
    for (const part of parts) await this.#shelf.remove(part);
    this.#filled.set(chunk.index, { sha256: digest, blob });
  }

  /** The chunk once more, from the server alone. */
  async #again(chunk: Chunk): Promise<Bytes> {
    this.#options.onBytes(-chunk.sizeBytes);
    const bytes = new Uint8Array(chunk.sizeBytes);
    let length = 0;
    const span = { from: chunk.offset, to: chunk.offset + chunk.sizeBytes };
    for (const part of spanInFiles(span, this.#manifest.files)) {
      for await (const piece of streamSpan(part, this.#options)) {
        bytes.set(piece, length);
        length += piece.length;
        this.#options.onBytes(piece.length);
      }
    }
    return bytes;
  }

  #stem(chunk: Chunk): string {
    return chunkStem(chunk, this.#options.versionTag, this.#manifest.sha256 !== null);
  }

  #place(chunk: Chunk): string {
    const [first] = spanInFiles({ from: chunk.offset, to: chunk.offset + chunk.sizeBytes }, this.#manifest.files);
    return first?.url ?? this.#manifest.model;
  }
}
