/**
 * Models kept in the browser: opened from disk where they are there and sound, fetched where not, mended chunk by chunk.
 *
 * Safe with many tabs: one fills a model, the others wait and find it. Knows nothing of llama.cpp or of agents.
 */
import { MemoryStore, type BlobStore, type StoreKind } from "./blob-store.js";
import { chooseStore, isModelFolder } from "./choose-store.js";
import { readEntry, readUsedAt, writeEntry, writeUsedAt, isData, type Entry } from "./entry.js";
import { fill } from "./fill.js";
import { takeLock, type Release } from "./locks.js";
import { withDigests, type Chunk, type ChunkManifest } from "./manifest.js";
import { resolveManifest, sourceId, Unreachable, type ModelSource, type SourceOptions } from "./model-source.js";
import { chunkName, chunkStem, ggufSpans, learnedDigests } from "./plan.js";
import { estimate, Room, useLock } from "./room.js";
import { sha256OfText } from "./sha256.js";
import { Shelf } from "./shelf.js";
import { verifyChunks } from "./verify.js";

/** What the cache is doing: waiting for another tab's download, hashing what is here, fetching what is not. */
export type LoadPhase = "waiting" | "verifying" | "downloading";

/** How far a load is; `loadedBytes` counts sound bytes, whether found or fetched. */
export interface LoadProgress {
  readonly phase: LoadPhase;
  readonly loadedBytes: number;
  readonly totalBytes: number;
  /** The part of `loadedBytes` that was found in the cache. */
  readonly cachedBytes: number;
}

export interface OpenModelOptions extends SourceOptions {
  /** False fetches the model into memory and leaves the cache alone. */
  readonly useCache?: boolean | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Sentences about what went another way than one would wish: a full disk, a repaired chunk, no server. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
}

/** A model that can be read. Close it when it is loaded: until then no tab will evict it. */
export interface OpenedModel {
  readonly manifest: ChunkManifest;
  /** The GGUF file, or the shards of a split one in order; what `Wllama.loadModel` takes. */
  readonly blobs: readonly Blob[];
  /** Where its bytes came from. */
  readonly cachedBytes: number;
  readonly fetchedBytes: number;
  /** Chunks that were there and were wrong, and have been fetched again. */
  readonly repairedChunks: readonly number[];
  close(): void;
}

export interface CacheOptions {
  /** Stores to try, best first. */
  readonly stores?: readonly StoreKind[];
  /** The page's own limit for all models together, in bytes; the browser's own holds as well. */
  readonly limitBytes?: number;
}

/** A model of the cache, for people to look at. */
export interface CachedModel {
  readonly source: string;
  readonly model: string;
  readonly version: string;
  readonly sizeBytes: number;
  readonly cachedBytes: number;
  readonly complete: boolean;
  /** Ms since the epoch. */
  readonly usedAt: number;
}

export interface CacheStatus {
  readonly store: StoreKind;
  readonly models: readonly CachedModel[];
  /** What the whole origin uses and may use, as the browser says; `quotaBytes` may be Infinity. */
  readonly usageBytes: number;
  readonly quotaBytes: number;
  /** Why it isn't a better store. */
  readonly notices: readonly string[];
}

/** The models of this origin. */
export class ModelCache {
  readonly #store: BlobStore;
  readonly #overflow: BlobStore = new MemoryStore();
  readonly #notices: readonly string[];
  readonly #room: Room;

  private constructor(store: BlobStore, notices: readonly string[], limitBytes: number) {
    this.#store = store;
    this.#notices = notices;
    this.#room = new Room(store, limitBytes);
  }

  /** Choose a store and open it. Never fails: memory is always there. */
  static async open(options: CacheOptions = {}): Promise<ModelCache> {
    const { store, notices } = await chooseStore(options.stores);
    return new ModelCache(store, notices, options.limitBytes ?? Infinity);
  }

  /**
   * The model, sound to the last byte.
   *
   * Throws `DownloadFailed`, `ManifestInvalid`, `DigestMismatch`, and what the signal aborts with; what was fetched until
   * then is kept, and the next call goes on there.
   */
  async openModel(source: ModelSource, options: OpenModelOptions = {}): Promise<OpenedModel> {
    const { signal, onNotice: notice = () => undefined } = options;
    signal?.throwIfAborted();
    if (options.useCache === false) {
      const cache = new ModelCache(new MemoryStore(), [], Infinity);
      return cache.openModel(source, { ...options, useCache: true });
    }
    const id = sourceId(source, baseUrl());
    const folder = await folderOf(id);
    const manifest = await this.#manifest(source, folder, options, notice);
    const counter = new Counter(manifest.sizeBytes, options.onProgress);
    if (this.#store.kind === "memory") this.#notices.forEach(notice);
    counter.phase("waiting");
    const filling = await this.#lock(`tea-model-fill:${folder}`, {}, signal);
    try {
      const alone = await this.#isAlone(folder);
      const using = await this.#lock(useLock(folder), { mode: "shared" }, signal);
      try {
        const opening = { id, folder, manifest, alone, counter, notice, signal };
        return { ...(await this.#open(opening)), close: using };
      } catch (error) {
        using();
        throw error;
      }
    } finally {
      filling();
    }
  }

  /** What is kept, where, and how much room there is. */
  async status(): Promise<CacheStatus> {
    const folders = (await this.#store.folders()).filter(isModelFolder);
    const models = (await Promise.all(folders.map((folder) => this.#describe(folder)))).filter((m) => m !== undefined);
    models.sort((a, b) => b.usedAt - a.usedAt);
    return { store: this.#store.kind, models, ...(await estimate()), notices: this.#notices };
  }

  /**
   * Delete one model, or all. Gives how many are gone; a model that another tab is loading or reading stays.
   */
  async clear(source?: ModelSource): Promise<number> {
    const folders =
      source === undefined
        ? (await this.#store.folders()).filter(isModelFolder)
        : [await folderOf(sourceId(source, baseUrl()))];
    let gone = 0;
    for (const folder of folders) {
      const filling = await takeLock(`tea-model-fill:${folder}`, { ifAvailable: true });
      const using = filling && (await takeLock(useLock(folder), { ifAvailable: true }));
      if (using) {
        await this.#store.removeFolder(folder);
        await this.#overflow.removeFolder(folder);
        gone += 1;
      }
      using?.();
      filling?.();
    }
    return gone;
  }

  /** The newest manifest, or the one that was noted where there is no server. */
  async #manifest(
    source: ModelSource,
    folder: string,
    options: OpenModelOptions,
    notice: (sentence: string) => void,
  ): Promise<ChunkManifest> {
    try {
      return await resolveManifest(source, baseUrl(), options);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      const entry = await readEntry(this.#store, folder);
      if (!entry) throw error.toError();
      notice("the server can't be reached: the model of the cache is used");
      return entry.manifest;
    }
  }

  async #open(opening: Opening): Promise<Omit<OpenedModel, "close">> {
    const { folder, counter, notice, signal } = opening;
    const before = await readEntry(this.#store, folder);
    const shelf = new Shelf(this.#store, this.#overflow, folder, this.#room, notice);
    const names = await namesOf(opening.manifest);
    const manifest = withDigests(opening.manifest, await names.learned(shelf));

    counter.phase("verifying");
    const verified = await verifyChunks(shelf, manifest.chunks, names.of, counter.found, signal);
    const missing = manifest.chunks.filter((chunk) => !verified.blobs.has(chunk.index));
    const digests = new Map<number, string>();
    if (missing.length > 0) {
      if (verified.bad.length > 0) notice(damaged(verified.bad));
      counter.phase("downloading");
      await shelf.reserve(missing.reduce((sum, chunk) => sum + chunk.sizeBytes, 0));
      if (opening.alone && before && shelf.budgetBytes < manifest.sizeBytes) await this.#prune(opening, names.keeps);
      await this.#note(opening, { source: opening.id, manifest, complete: false });
      const etag = manifest.sha256 === null && /^(W\/)?"/.test(manifest.version) ? manifest.version : undefined;
      const options = { signal, etag, versionTag: names.tag, onBytes: counter.fetched };
      for (const [index, filled] of await fill(manifest, missing, shelf, options)) {
        verified.blobs.set(index, filled.blob);
        digests.set(index, filled.sha256);
      }
    }
    const whole = manifest.sha256 === null ? withDigests(manifest, digests) : manifest;
    if (missing.length > 0 || !before?.complete) {
      await this.#note(opening, { source: opening.id, manifest: whole, complete: true });
      if (opening.alone) await this.#prune(opening, names.keeps);
    }
    await writeUsedAt(this.#store, folder, Date.now()).catch(() => undefined);
    return {
      manifest: whole,
      blobs: toBlobs(whole, verified.blobs),
      cachedBytes: counter.cachedBytes,
      fetchedBytes: counter.fetchedBytes,
      repairedChunks: verified.bad,
    };
  }

  /** Delete what another version of the model left. */
  async #prune({ folder }: Opening, keeps: (name: string) => boolean): Promise<void> {
    for (const name of (await this.#store.sizes(folder)).keys()) {
      if (isData(name) && !keeps(name)) await this.#store.remove(folder, name);
    }
  }

  /** A note that can't be written costs an offline start, not this one. */
  async #note({ folder, notice }: Opening, entry: Entry): Promise<void> {
    try {
      await writeEntry(this.#store, folder, entry);
    } catch (error) {
      notice(`the cache couldn't note the model (${String(error)}): it won't open without the server`);
    }
  }

  async #describe(folder: string): Promise<CachedModel | undefined> {
    const entry = await readEntry(this.#store, folder);
    if (!entry) return undefined;
    const { model, version, sizeBytes } = entry.manifest;
    const sizes = await this.#store.sizes(folder);
    let cachedBytes = 0;
    for (const [name, size] of sizes) if (isData(name)) cachedBytes += size;
    const usedAt = await readUsedAt(this.#store, folder);
    const complete = entry.complete && cachedBytes >= sizeBytes;
    return { source: entry.source, model, version, sizeBytes, cachedBytes, complete, usedAt };
  }

  /** Whether no other tab reads the model; asked while nobody else can begin to. */
  async #isAlone(folder: string): Promise<boolean> {
    const release = await takeLock(useLock(folder), { ifAvailable: true });
    release?.();
    return release !== undefined;
  }

  async #lock(name: string, options: { mode?: LockMode }, signal: AbortSignal | undefined): Promise<Release> {
    // Memory is this page's own; what another tab does is no concern of it.
    return takeLock(this.#store.kind === "memory" ? `${name}:${PAGE}` : name, { ...options, signal });
  }
}

const PAGE = Math.random().toString(36).slice(2);

interface Opening {
  readonly id: string;
  readonly folder: string;
  readonly manifest: ChunkManifest;
  readonly alone: boolean;
  readonly counter: Counter;
  readonly notice: (sentence: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Counts bytes for `onProgress`. */
class Counter {
  cachedBytes = 0;
  fetchedBytes = 0;
  #phase: LoadPhase = "waiting";
  readonly #totalBytes: number;
  readonly #tell: (progress: LoadProgress) => void;

  constructor(totalBytes: number, tell: (progress: LoadProgress) => void = () => undefined) {
    this.#totalBytes = totalBytes;
    this.#tell = tell;
  }

  phase(phase: LoadPhase): void {
    this.#phase = phase;
    this.#report();
  }

  readonly found = (bytes: number): void => {
    this.cachedBytes += bytes;
    this.#report();
  };

  readonly fetched = (bytes: number): void => {
    this.fetchedBytes += bytes;
    this.#report();
  };

  #report(): void {
    const { cachedBytes } = this;
    this.#tell({
      phase: this.#phase,
      loadedBytes: cachedBytes + this.fetchedBytes,
      totalBytes: this.#totalBytes,
      cachedBytes,
    });
  }
}

/** How a version's blobs are named. */
async function namesOf(manifest: ChunkManifest) {
  const tag = (await sha256OfText(`${manifest.version}\n${manifest.sizeBytes}`)).slice(0, 16);
  const promised = manifest.sha256 !== null;
  const stems = new Set(manifest.chunks.map((chunk) => chunkStem(chunk, tag, promised)));
  return {
    tag,
    of: (chunk: Chunk) => chunkName(chunk, tag, promised),
    learned: async (shelf: Shelf) =>
      promised ? new Map<number, string>() : learnedDigests((await shelf.sizes()).keys(), tag),
    keeps: (name: string) => {
      const [kind, ...rest] = name.split("-");
      const stem = kind === "p" ? rest.slice(0, -1).join("-") : name;
      return stems.has(stem) || (!promised && name.startsWith(`u-${tag}-`));
    },
  };
}

function damaged(chunks: readonly number[]): string {
  return chunks.length === 1
    ? `chunk ${String(chunks[0])} of the cached model was damaged and is fetched again`
    : `${chunks.length} chunks of the cached model were damaged and are fetched again`;
}

/** One blob a GGUF file, each made of the chunks it lies in. Nothing is copied. */
function toBlobs(manifest: ChunkManifest, chunks: ReadonlyMap<number, Blob>): Blob[] {
  const pieces = manifest.chunks.map((chunk) => chunks.get(chunk.index) ?? new Blob());
  const whole = new Blob(pieces);
  const spans = ggufSpans(manifest);
  return spans.length === 1 ? [whole] : spans.map(({ from, to }) => whole.slice(from, to));
}

async function folderOf(id: string): Promise<string> {
  return (await sha256OfText(id)).slice(0, 32);
}

function baseUrl(): string {
  // A worker made of a blob has no address that others could be relative to; sources are absolute there.
  return (globalThis.location as Location | undefined)?.href ?? "http://localhost/";
}
