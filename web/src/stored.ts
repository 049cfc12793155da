/**
 * What outlives a tab: runs with their records, and what agents remember, in IndexedDB. One tab drives a run at a time.
 *
 * Knows the shape of rows and nothing of what records mean.
 */

import { TeaError } from "./errors.js";

/** A kept run as a list shows it. `stopped`: it neither ended nor waits, its tab is gone or still drives it. */
export interface RunSummary {
  readonly runId: string;
  readonly workflow: string;
  readonly status: "running" | "stopped" | "interrupted" | "failed" | "finished";
  readonly createdS: number;
  readonly updatedS: number;
  readonly records: number;
}

/** An entry of an agent's memory. */
export interface MemoryEntry {
  readonly namespace: string;
  readonly key: string;
  readonly value: unknown;
  readonly metadata: unknown;
  readonly vector: readonly number[] | null;
}

/** One record on its way into a run. */
export interface RecordToKeep {
  readonly run: string;
  readonly number: number;
  readonly line: string;
  /** What this record changes of the run's row. */
  readonly mark: Partial<Pick<RunSummary, "workflow" | "status" | "createdS">>;
}

interface RecordRow {
  readonly run: string;
  readonly number: number;
  readonly line: string;
}

const DATABASE = "tea";
const VERSION = 1;
const lockName = (run: string): string => `tea-run:${run}`;

export class Stored {
  #opening: Promise<IDBDatabase> | undefined;
  /** Runs this tab drives, and how to let them go. */
  readonly #held = new Map<string, () => void>();

  /** Take a new run. Raises RunIdTaken. */
  async create(run: string): Promise<void> {
    await this.#hold(run);
    if ((await this.#row(run)) !== undefined) {
      this.close(run);
      throw problem("RunIdTaken", `a run ${run} exists`, "resume it, remove it, or give another runId");
    }
  }

  /** Take a kept run; gives its records' texts in order. Raises RunNotFound, RunBusy, RunLogCorrupt. */
  async open(run: string): Promise<string[]> {
    await this.#hold(run);
    try {
      if ((await this.#row(run)) === undefined) {
        throw problem("RunNotFound", `no run ${run} is kept in this browser`, "see listRuns()");
      }
      const rows = await this.#read<RecordRow[]>("records", (store) => store.getAll(ofRun(run)));
      rows.forEach((row, index) => {
        if (row.number !== index + 1) throw problem("RunLogCorrupt", `record ${index + 1} is missing`, "remove the run", `run ${run}`);
      });
      return rows.map((row) => row.line);
    } catch (error) {
      this.close(run);
      throw error;
    }
  }

  /** Keep one record; resolves once it is committed. */
  async append({ run, number, line, mark }: RecordToKeep): Promise<void> {
    const database = await this.#database();
    const transaction = database.transaction(["runs", "records"], "readwrite");
    transaction.objectStore("records").put({ run, number, line } satisfies RecordRow);
    const runs = transaction.objectStore("runs");
    const now = Date.now() / 1000;
    const before = runs.get(run) as IDBRequest<RunSummary | undefined>;
    before.onsuccess = () => {
      const row = before.result ?? { runId: run, workflow: "", status: "stopped", createdS: now };
      runs.put({ ...row, ...mark, updatedS: now, records: number } satisfies RunSummary);
    };
    await done(transaction);
  }

  /** Let a run go, so that any tab may take it. */
  close(run: string): void {
    this.#held.get(run)?.();
    this.#held.delete(run);
  }

  /** All kept runs, the latest first; those a tab drives now are `running`. */
  async list(): Promise<RunSummary[]> {
    const rows = await this.#read<RunSummary[]>("runs", (store) => store.getAll());
    const held = new Set((await locks()?.query())?.held?.map((lock) => lock.name));
    return rows
      .map((row) => (held.has(lockName(row.runId)) || this.#held.has(row.runId) ? { ...row, status: "running" as const } : row))
      .sort((first, second) => second.updatedS - first.updatedS);
  }

  /** Forget a run. Raises RunBusy. */
  async remove(run: string): Promise<void> {
    await this.#hold(run);
    try {
      const transaction = (await this.#database()).transaction(["runs", "records"], "readwrite");
      transaction.objectStore("runs").delete(run);
      transaction.objectStore("records").delete(ofRun(run));
      await done(transaction);
    } finally {
      this.close(run);
    }
  }

  /** Keep an entry, in place of what its key held. */
  async remember(entry: MemoryEntry): Promise<void> {
    const transaction = (await this.#database()).transaction("memory", "readwrite");
    transaction.objectStore("memory").put(entry);
    await done(transaction);
  }

  async recall(namespace: string, key: string): Promise<MemoryEntry | null> {
    const found = await this.#read<MemoryEntry | undefined>("memory", (store) => store.get([namespace, key]));
    return found ?? null;
  }

  async recallAll(namespace: string): Promise<MemoryEntry[]> {
    return await this.#read<MemoryEntry[]>("memory", (store) => store.getAll(IDBKeyRange.bound([namespace], [namespace, []])));
  }

  /** Forget everything agents remember. */
  async forget(): Promise<void> {
    const transaction = (await this.#database()).transaction("memory", "readwrite");
    transaction.objectStore("memory").clear();
    await done(transaction);
  }

  async #hold(run: string): Promise<void> {
    const busy = problem("RunBusy", `another call or tab drives the run ${run}`, "wait for it, or abort it there");
    if (this.#held.has(run)) throw busy;
    this.#held.set(run, () => undefined);
    const manager = locks();
    if (!manager) return; // no secure context: this tab's own map must do
    const taken = await new Promise<boolean>((resolve) => {
      const letGo = new Promise<void>((release) => this.#held.set(run, release));
      void manager.request(lockName(run), { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock ? letGo : undefined;
      });
    });
    if (!taken) {
      this.#held.delete(run);
      throw busy;
    }
  }

  #row(run: string): Promise<RunSummary | undefined> {
    return this.#read("runs", (store) => store.get(run));
  }

  async #read<T>(name: string, ask: (store: IDBObjectStore) => IDBRequest): Promise<T> {
    const request = ask((await this.#database()).transaction(name).objectStore(name));
    return await new Promise<T>((resolve, reject) => {
      request.onsuccess = () => {
        resolve(request.result as T);
      };
      request.onerror = () => {
        reject(storeError(request.error));
      };
    });
  }

  #database(): Promise<IDBDatabase> {
    return (this.#opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      if (!("indexedDB" in globalThis)) {
        reject(storeError(null));
        return;
      }
      const request = indexedDB.open(DATABASE, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("runs", { keyPath: "runId" });
        request.result.createObjectStore("records", { keyPath: ["run", "number"] });
        request.result.createObjectStore("memory", { keyPath: ["namespace", "key"] });
      };
      request.onsuccess = () => {
        // Another tab with a newer version must not wait for this one.
        request.result.onversionchange = () => {
          request.result.close();
          this.#opening = undefined;
        };
        resolve(request.result);
      };
      request.onerror = () => {
        this.#opening = undefined;
        reject(storeError(request.error));
      };
    }));
  }
}

function done(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => {
      resolve();
    };
    transaction.onabort = transaction.onerror = () => {
      reject(storeError(transaction.error));
    };
  });
}

function ofRun(run: string): IDBKeyRange {
  return IDBKeyRange.bound([run], [run, []]);
}

function locks(): LockManager | undefined {
  return (navigator as { locks?: LockManager }).locks;
}

function problem(name: string, what: string, fix: string, place = ""): TeaError {
  return new TeaError(name, [{ what, place, fix }]);
}

function storeError(error: DOMException | null): TeaError {
  const full = error?.name === "QuotaExceededError";
  return problem(
    "RunError",
    full ? "the browser has no room left for this site" : `the browser keeps nothing for this site (${error?.message ?? "no IndexedDB"})`,
    full ? "remove old runs or models (clearCache)" : "leave private mode, or run with keep: false",
    "IndexedDB",
  );
}
