/**
 * One model's place in the store, with what doesn't fit there kept in memory for as long as the page lives. A full
 * store is answered by evicting another model first, and by a notice, never by a failed load.
 */
import { isQuotaError, type BlobStore } from "./blob-store.js";
import type { Room } from "./room.js";

export class Shelf {
  readonly #store: BlobStore;
  readonly #overflow: BlobStore;
  readonly #folder: string;
  readonly #room: Room;
  readonly #notice: (sentence: string) => void;
  #budgetBytes = Infinity;
  #isFull = false;

  constructor(store: BlobStore, overflow: BlobStore, folder: string, room: Room, notice: (sentence: string) => void) {
    this.#store = store;
    this.#overflow = overflow;
    this.#folder = folder;
    this.#room = room;
    this.#notice = notice;
  }

  /** Make room for `bytes` more, at other models' cost. */
  async reserve(bytes: number): Promise<void> {
    this.#budgetBytes = await this.#room.make(bytes, this.#folder);
  }

  /** Bytes that may be written before something must be given up. */
  get budgetBytes(): number {
    return this.#budgetBytes;
  }

  /** Keep a blob and give what to read it from. It stays in memory where the store can't take it. */
  async put(name: string, data: Blob): Promise<Blob> {
    if (await this.#write(name, data)) return (await this.#store.get(this.#folder, name)) ?? data;
    await this.#overflow.put(this.#folder, name, data);
    return data;
  }

  /** Keep a blob if there is room, and forget it if not. */
  async putIfRoom(name: string, data: Blob): Promise<void> {
    await this.#write(name, data);
  }

  async get(name: string): Promise<Blob | undefined> {
    return (await this.#store.get(this.#folder, name)) ?? (await this.#overflow.get(this.#folder, name));
  }

  async remove(name: string): Promise<void> {
    await this.#store.remove(this.#folder, name);
    await this.#overflow.remove(this.#folder, name);
  }

  async sizes(): Promise<Map<string, number>> {
    const [kept, overflown] = await Promise.all([this.#store.sizes(this.#folder), this.#overflow.sizes(this.#folder)]);
    return new Map([...overflown, ...kept]);
  }

  async #write(name: string, data: Blob): Promise<boolean> {
    while (!this.#isFull && data.size <= this.#budgetBytes) {
      try {
        await this.#store.put(this.#folder, name, data);
        this.#budgetBytes -= data.size;
        return true;
      } catch (error) {
        if (isQuotaError(error) && (await this.#room.evictOne(this.#folder))) continue;
        this.#fill(
          isQuotaError(error) ? "the browser's storage is full" : `the browser's storage failed (${String(error)})`,
        );
      }
    }
    if (!this.#isFull) this.#fill("the model is larger than the room for models");
    return false;
  }

  #fill(why: string): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#notice(`${why}: the rest of the model is kept in memory and fetched again on the next visit`);
  }
}
