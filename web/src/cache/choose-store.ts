/** Which store this browser offers: its file system, else IndexedDB, else memory. Each is tried by writing to it. */
import { isQuotaError, MemoryStore, type BlobStore, type StoreKind } from "./blob-store.js";
import { IndexedDbStore } from "./indexeddb-store.js";
import { OpfsStore } from "./opfs-store.js";

const PROBE = "probe";
const FLEETING = "models are kept in memory and fetched again on the next visit";

/** The store that was chosen, and a sentence for each better one that couldn't be. */
export interface ChosenStore {
  readonly store: BlobStore;
  readonly notices: readonly string[];
}

/** Open the first of `kinds` that a blob can be written to and read back from; memory always can. */
export async function chooseStore(kinds: readonly StoreKind[] = ["opfs", "indexeddb", "memory"]): Promise<ChosenStore> {
  const notices: string[] = [];
  for (const kind of kinds) {
    try {
      const store = await open(kind);
      await tryOut(store);
      if (kind === "memory") notices.push(FLEETING);
      return { store, notices };
    } catch (error) {
      notices.push(`${NAMES[kind]} can't be used here (${(error as Error).message || String(error)})`);
    }
  }
  return { store: new MemoryStore(), notices: [...notices, FLEETING] };
}

const NAMES: Record<StoreKind, string> = {
  opfs: "the browser's file system",
  indexeddb: "IndexedDB",
  memory: "memory",
};

async function open(kind: StoreKind): Promise<BlobStore> {
  if (kind === "opfs") return OpfsStore.open();
  if (kind === "indexeddb") return IndexedDbStore.open();
  return new MemoryStore();
}

async function tryOut(store: BlobStore): Promise<void> {
  const name = `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  try {
    await store.put(PROBE, name, new Blob(["tea"]));
  } catch (error) {
    // A full store is still the right one: what it holds can be read, and room can be made.
    if (isQuotaError(error)) return;
    throw error;
  }
  const back = await store.get(PROBE, name);
  const text = await back?.text();
  await store.remove(PROBE, name);
  if (text !== "tea") throw new Error("what is written there does not come back");
}

/** Whether a folder of a store holds a model. */
export function isModelFolder(folder: string): boolean {
  return folder !== PROBE;
}
