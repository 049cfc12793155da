/**
 * One tab at a time: named locks over all tabs of the origin (Web Locks), or over this page alone where the browser has
 * none. A lock dies with its tab, so nothing goes stale.
 */

/** Call it to let go. */
export type Release = () => void;

export interface LockOptions {
  readonly mode?: LockMode;
  /** Gives undefined instead of waiting. */
  readonly ifAvailable?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Take a lock and hold it until the result is called. Rejects with the signal's reason where waiting was aborted. */
export async function takeLock(name: string, options: LockOptions & { ifAvailable?: false }): Promise<Release>;
export async function takeLock(name: string, options: LockOptions): Promise<Release | undefined>;
export async function takeLock(name: string, options: LockOptions): Promise<Release | undefined> {
  options.signal?.throwIfAborted();
  const locks = (globalThis.navigator as Navigator | undefined)?.locks;
  return locks ? takeWebLock(locks, name, options) : takePageLock(name, options);
}

function takeWebLock(locks: LockManager, name: string, options: LockOptions): Promise<Release | undefined> {
  const { mode = "exclusive", ifAvailable = false, signal } = options;
  return new Promise((resolve, reject) => {
    const hold = (lock: Lock | null): Promise<void> | undefined => {
      if (!lock) {
        resolve(undefined);
        return undefined;
      }
      return new Promise<void>((release) => {
        resolve(() => {
          release();
        });
      });
    };
    // A signal may not stand beside ifAvailable.
    const asked = ifAvailable ? { mode, ifAvailable } : { mode, ...(signal ? { signal } : {}) };
    locks.request(name, asked, hold).catch(reject);
  });
}

const held = new Map<string, Promise<void>>();

/** Every lock is exclusive here: fewer loads side by side in a browser of old, and never a wrong one. */
async function takePageLock(name: string, options: LockOptions): Promise<Release | undefined> {
  if (options.mode === "shared") return () => undefined;
  const before = held.get(name);
  if (before && options.ifAvailable) return undefined;
  let release: Release = () => undefined;
  const mine = new Promise<void>((resolve) => (release = resolve));
  const queue = (before ?? Promise.resolve()).then(() => mine);
  held.set(name, queue);
  void queue.then(() => held.get(name) === queue && held.delete(name));
  await before;
  return release;
}
