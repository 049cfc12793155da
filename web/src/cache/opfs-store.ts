/**
 * Blobs in the origin private file system. A blob is written to a swap file that takes its name when it is whole, so a
 * closed tab leaves no half blob behind; at worst an empty one, whose size gives it away.
 */
import type { BlobStore } from "./blob-store.js";

const ROOT = "tea-models";

/** Blobs as files below `tea-models/` of the origin. */
export class OpfsStore implements BlobStore {
  readonly kind = "opfs";
  readonly #root: FileSystemDirectoryHandle;

  private constructor(root: FileSystemDirectoryHandle) {
    this.#root = root;
  }

  /** Throws where the browser has none, hides it (a private window) or can't write to it. */
  static async open(): Promise<OpfsStore> {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle(ROOT, { create: true });
    return new OpfsStore(root);
  }

  async put(folder: string, name: string, data: Blob): Promise<void> {
    const directory = await this.#root.getDirectoryHandle(folder, { create: true });
    const file = await directory.getFileHandle(name, { create: true });
    const writable = await file.createWritable();
    try {
      await writable.write(data);
      await writable.close();
    } catch (error) {
      await writable.abort().catch(() => undefined);
      if ((await file.getFile()).size === 0) await this.remove(folder, name);
      throw error;
    }
  }

  async get(folder: string, name: string): Promise<Blob | undefined> {
    const directory = await this.#folder(folder);
    return directory && absent(async () => (await directory.getFileHandle(name)).getFile());
  }

  async remove(folder: string, name: string): Promise<void> {
    const directory = await this.#folder(folder);
    if (directory) await absent(() => directory.removeEntry(name));
  }

  async sizes(folder: string): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    const directory = await this.#folder(folder);
    if (!directory) return found;
    for await (const [name, handle] of directory.entries()) {
      if (handle.kind !== "file") continue;
      const file = await absent(() => handle.getFile());
      if (file) found.set(name, file.size);
    }
    return found;
  }

  async folders(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.#root.keys()) names.push(name);
    return names;
  }

  async removeFolder(folder: string): Promise<void> {
    await absent(() => this.#root.removeEntry(folder, { recursive: true }));
  }

  #folder(name: string): Promise<FileSystemDirectoryHandle | undefined> {
    return absent(() => this.#root.getDirectoryHandle(name));
  }
}

/** What `look` finds, or undefined where there is nothing of that name (any more). */
async function absent<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
    throw error;
  }
}
