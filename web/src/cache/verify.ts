/** Which chunks are here and are what they must be. Every byte is hashed again; what differs is thrown away. */
import type { Chunk } from "./manifest.js";
import { sha256 } from "./sha256.js";
import type { Shelf } from "./shelf.js";

/** Chunks hashed side by side; the browser does it off the page's thread. */
const LANES = 4;

export interface Verified {
  /** What to read each sound chunk from, by index. */
  readonly blobs: Map<number, Blob>;
  /** Indices of chunks that were there and were wrong. */
  readonly bad: number[];
}

/** Check `chunks` under the names that `nameOf` gives; `onBytes` counts bytes found sound. */
export async function verifyChunks(
  shelf: Shelf,
  chunks: readonly Chunk[],
  nameOf: (chunk: Chunk) => string,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<Verified> {
  const sizes = await shelf.sizes();
  const present = chunks.filter((chunk) => sizes.has(nameOf(chunk)));
  const blobs = new Map<number, Blob>();
  const bad: number[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let chunk = present[next++]; chunk; chunk = present[next++]) {
      signal?.throwIfAborted();
      const name = nameOf(chunk);
      const blob = await soundBlob(shelf, name, chunk);
      if (blob) {
        blobs.set(chunk.index, blob);
        onBytes(chunk.sizeBytes);
      } else {
        bad.push(chunk.index);
        await shelf.remove(name);
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return { blobs, bad: bad.sort((a, b) => a - b) };
}

async function soundBlob(shelf: Shelf, name: string, chunk: Chunk): Promise<Blob | undefined> {
  try {
    const blob = await shelf.get(name);
    if (blob?.size !== chunk.sizeBytes) return undefined;
    return (await sha256(new Uint8Array(await blob.arrayBuffer()))) === chunk.sha256 ? blob : undefined;
  } catch {
    // A blob that can't be read (a bad disk, taken away by the browser meanwhile) is a blob that isn't there.
    return undefined;
  }
}
