/**
 * Where bytes are kept: folders of named blobs. The cache's rules stand above it and are the same for every store.
 */

export type StoreKind = "opfs" | "indexeddb" | "memory";

/** Folders of named blobs. A `put` is whole or not at all. */
export interface BlobStore {
  readonly kind: StoreKind;
  /** Throws QuotaExceededError (a DOMException) where the browser has no room. */
  put(folder: string, name: string, data: Blob): Promise<void>;
  get(folder: string, name: string): Promise<Blob | undefined>;
  remove(folder: string, name: string): Promise<void>;
  /** Name and size of every blob in the folder. */
  sizes(folder: string): Promise<Map<string, number>>;
  folders(): Promise<string[]>;
  removeFolder(folder: string): Promise<void>;
}

/** Whether an error says that the browser has no room left. */
export function isQuotaError(error: unknown): boolean {
  return error instanceof Error && error.name === "QuotaExceededError";
}

/** Keeps blobs as long as the page lives. */
export class MemoryStore implements BlobStore {
  readonly kind = "memory";
  readonly #folders = new Map<string, Map<string, Blob>>();

  put(folder: string, name: string, data: Blob): Promise<void> {
    const blobs = this.#folders.get(folder) ?? new Map<string, Blob>();
    this.#folders.set(folder, blobs.set(name, data));
    return Promise.resolve();
  }

  get(folder: string, name: string): Promise<Blob | undefined> {
    return Promise.resolve(this.#folders.get(folder)?.get(name));
  }

  remove(folder: string, name: string): Promise<void> {
    this.#folders.get(folder)?.delete(name);
    return Promise.resolve();
  }

  sizes(folder: string): Promise<Map<string, number>> {
    const blobs = this.#folders.get(folder) ?? new Map<string, Blob>();
    return Promise.resolve(new Map([...blobs].map(([name, blob]) => [name, blob.size])));
  }

  folders(): Promise<string[]> {
    return Promise.resolve([...this.#folders.keys()]);
  }

  removeFolder(folder: string): Promise<void> {
    this.#folders.delete(folder);
    return Promise.resolve();
  }
}
