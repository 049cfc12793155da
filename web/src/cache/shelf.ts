/**
 * One model's place in the store, with what doesn't fit there kept in memory for as long as the page lives. A full
 * store is answered by evicting another model first, and by a notice, never by a failed load.
 */
import { isQuotaError, type BlobStore } from "./blob-store.js";
import type { Room } from "./room.js";

/** A browser counts deleted bytes as used for a moment; evicting more at once would take too much. */
const RETRIES_AFTER_EVICTION = 5;
const SETTLE_MS = 100;

/** Blobs of one model by name. */
export class Shelf {
  readonly #store: BlobStore;
  readonly #overflow: BlobStore;
  readonly #folder: string;
  readonly #room: Room;
  readonly #notice: (sentence: string) => void;
  #budgetBytes = Infinity;
  #isFull = false;
  #round = 0;
  #retries = 0;
  #makingRoom = Promise.resolve(true);

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
      const round = this.#round;
      try {
        await this.#store.put(this.#folder, name, data);
        this.#budgetBytes -= data.size;
        return true;
      } catch (error) {
        if (!isQuotaError(error)) this.#fill(`the browser's storage failed (${String(error)})`);
        else if (!(await this.#makeRoom(round))) this.#fill("the browser's storage is full");
      }
    }
    if (!this.#isFull) this.#fill("the model is larger than the room for models");
    return false;
  }

  /** After a put of this round found no room: whether it is worth another try. Puts side by side make room once. */
  #makeRoom(round: number): Promise<boolean> {
    this.#makingRoom = this.#makingRoom.then(async (before) => {
      if (round !== this.#round) return before;
      this.#round += 1;
      if (this.#retries > 0) {
        this.#retries -= 1;
        await pause(SETTLE_MS);
        return true;
      }
      this.#retries = RETRIES_AFTER_EVICTION;
      return this.#room.evictOne(this.#folder);
    });
    return this.#makingRoom;
  }

  #fill(why: string): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#notice(`${why}: the rest of the model is kept in memory and fetched again on the next visit`);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
