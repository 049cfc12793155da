/**
 * Room for a model: how much there is, and which other models make way. Deletes only what no tab is using.
 */
import type { BlobStore } from "./blob-store.js";
import { isModelFolder } from "./choose-store.js";
import { readUsedAt } from "./entry.js";
import { takeLock } from "./locks.js";
import { evictions, type Resident } from "./plan.js";

/** The lock that a tab holds shared while it reads a model, and that eviction takes alone. */
export function useLock(folder: string): string {
  return `tea-model-use:${folder}`;
}

export interface Estimate {
  readonly usageBytes: number;
  readonly quotaBytes: number;
}

/** What the browser grants this origin; without end where it doesn't say. */
export async function estimate(): Promise<Estimate> {
  const storage = (globalThis.navigator as Navigator | undefined)?.storage;
  try {
    const { usage = 0, quota = Infinity } = (await storage?.estimate()) ?? {};
    return { usageBytes: usage, quotaBytes: quota };
  } catch {
    return { usageBytes: 0, quotaBytes: Infinity };
  }
}

/** The room of one store. `limitBytes` is the page's own limit for all models together. */
export class Room {
  readonly #store: BlobStore;
  readonly #limitBytes: number;

  constructor(store: BlobStore, limitBytes: number) {
    this.#store = store;
    this.#limitBytes = limitBytes;
  }

  /** The models in the store but `except`, with their sizes. */
  async residents(except?: string): Promise<Resident[]> {
    const folders = (await this.#store.folders()).filter((folder) => isModelFolder(folder) && folder !== except);
    return Promise.all(
      folders.map(async (folder) => ({
        folder,
        bytes: await this.folderBytes(folder),
        usedAt: await readUsedAt(this.#store, folder),
      })),
    );
  }

  async folderBytes(folder: string): Promise<number> {
    return sum((await this.#store.sizes(folder)).values());
  }

  /** Bytes that may still be written. Memory is bounded by the page's limit alone. */
  async freeBytes(): Promise<number> {
    const used = sum((await this.residents()).map((resident) => resident.bytes));
    const own = this.#limitBytes - used;
    if (this.#store.kind === "memory") return Math.max(0, own);
    const { usageBytes, quotaBytes } = await estimate();
    return Math.max(0, Math.min(own, quotaBytes - usageBytes));
  }

  /** Delete other models, least recently used first, until `neededBytes` fit; gives the bytes that are free then. */
  async make(neededBytes: number, folder: string): Promise<number> {
    // Counted here: a browser's own figure may follow a deletion only seconds later.
    let free = await this.freeBytes();
    let candidates = await this.residents(folder);
    for (let [oldest] = evictions(neededBytes, free, candidates); oldest;) {
      if (await this.#evict(oldest.folder)) free += oldest.bytes;
      candidates = candidates.filter((resident) => resident !== oldest);
      [oldest] = evictions(neededBytes, free, candidates);
    }
    return free;
  }

  /** Delete the least recently used other model; whether there was one. */
  async evictOne(folder: string): Promise<boolean> {
    const candidates = (await this.residents(folder)).sort((a, b) => a.usedAt - b.usedAt);
    for (const resident of candidates) if (await this.#evict(resident.folder)) return true;
    return false;
  }

  async #evict(folder: string): Promise<boolean> {
    const release = await takeLock(useLock(folder), { ifAvailable: true });
    if (!release) return false;
    try {
      await this.#store.removeFolder(folder);
      return true;
    } finally {
      release();
    }
  }
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
