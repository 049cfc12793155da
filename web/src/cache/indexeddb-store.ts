/** Blobs in IndexedDB, for browsers whose file system a page can't write to. One record a blob, one transaction a put. */
import type { BlobStore } from "./blob-store.js";

const DATABASE = "tea-models";
const BLOBS = "blobs";

/** Records `[folder, name] → Blob` of the database `tea-models`. */
export class IndexedDbStore implements BlobStore {
  readonly kind = "indexeddb";
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
    // Another tab with a newer page may want to change the layout: stand out of its way.
    database.onversionchange = () => {
      database.close();
    };
  }

  /** Throws where the browser has none or won't let this page use it. */
  static async open(): Promise<IndexedDbStore> {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(BLOBS);
    return new IndexedDbStore(await answer(opening));
  }

  put(folder: string, name: string, data: Blob): Promise<void> {
    return this.#write((blobs) => blobs.put(data, [folder, name]));
  }

  get(folder: string, name: string): Promise<Blob | undefined> {
    return answer(this.#blobs("readonly").get([folder, name]) as IDBRequest<Blob | undefined>);
  }

  remove(folder: string, name: string): Promise<void> {
    return this.#write((blobs) => blobs.delete([folder, name]));
  }

  sizes(folder: string): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    const asked = this.#blobs("readonly").openCursor(range(folder));
    return new Promise((resolve, reject) => {
      asked.onerror = () => {
        reject(asked.error ?? new Error("the cursor failed"));
      };
      asked.onsuccess = () => {
        const cursor = asked.result;
        if (!cursor) {
          resolve(found);
          return;
        }
        found.set((cursor.key as [string, string])[1], (cursor.value as Blob).size);
        cursor.continue();
      };
    });
  }

  async folders(): Promise<string[]> {
    const keys = await answer(this.#blobs("readonly").getAllKeys());
    return [...new Set(keys.map((key) => (key as [string, string])[0]))];
  }

  removeFolder(folder: string): Promise<void> {
    return this.#write((blobs) => blobs.delete(range(folder)));
  }

  #blobs(mode: IDBTransactionMode): IDBObjectStore {
    return this.#database.transaction(BLOBS, mode).objectStore(BLOBS);
  }

  #write(change: (blobs: IDBObjectStore) => IDBRequest): Promise<void> {
    const transaction = this.#database.transaction(BLOBS, "readwrite");
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => {
        resolve();
      };
      transaction.onabort = () => {
        reject(transaction.error ?? new Error("the transaction was aborted"));
      };
      change(transaction.objectStore(BLOBS));
    });
  }
}

function range(folder: string): IDBKeyRange {
  return IDBKeyRange.bound([folder], [folder, []]);
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error ?? new Error("the request failed"));
    };
  });
}
