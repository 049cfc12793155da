/**
 * A span of a file as a stream of bytes that outlives a bad line: it goes on where it stopped, waits where the server
 * asks for it, and takes a server that ignores ranges as it is. Knows nothing of chunks or digests.
 */
import { downloadFailed } from "./errors.js";
import type { FileSpan } from "./plan.js";

/** Attempts in a row that bring no byte before the download is given up. */
const MOST_FAILURES = 4;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
const STALL_MS = 30_000;

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined;
  /** How a server's copy is told from another one of the same name; a changed one is an error. */
  readonly etag?: string | undefined;
  /** Waits before another attempt, in ms times 1, 2, 4, ... */
  readonly firstWaitMs?: number;
}

/** The bytes of a span, in pieces as they come. Throws `DownloadFailed`, or what the signal aborts with. */
export async function* streamSpan(
  span: FileSpan,
  options: StreamOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let at = span.from;
  let failures = 0;
  while (at < span.to) {
    const before = at;
    try {
      for await (const bytes of oneAttempt(span, at, options)) {
        at += bytes.length;
        yield bytes;
      }
      if (at < span.to) throw new Retryable("the server ended the answer early");
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof Retryable)) throw error;
      failures = at > before ? 0 : failures + 1;
      if (failures >= MOST_FAILURES) {
        throw downloadFailed(error.message, span.url, "check the connection and load the model again", error);
      }
      await wait(error.waitMs ?? (options.firstWaitMs ?? FIRST_WAIT_MS) * 2 ** failures, options.signal);
    }
  }
}

async function* oneAttempt(
  span: FileSpan,
  at: number,
  options: StreamOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const stall = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stall.signal]) : stall.signal;
  let timer = setTimeout(() => {
    stall.abort();
  }, STALL_MS);
  try {
    const response = await ask(span, at, signal);
    let skip = firstByte(response, span, at, options.etag);
    const reader = response.body?.getReader();
    if (!reader) throw new Retryable("the server's answer has no body");
    try {
      while (at < span.to) {
        const { done, value } = await read(reader);
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => {
          stall.abort();
        }, STALL_MS);
        const bytes = value.subarray(Math.min(skip, value.length)).subarray(0, span.to - at);
        skip -= Math.min(skip, value.length);
        at += bytes.length;
        if (bytes.length > 0) yield bytes;
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  } finally {
    clearTimeout(timer);
  }
}

async function ask(span: FileSpan, at: number, signal: AbortSignal): Promise<Response> {
  const whole = at === 0 && span.to === span.fileBytes;
  try {
    // The model is kept once, by the cache; the browser's own cache would keep it a second time.
    return await fetch(span.url, {
      signal,
      cache: "no-store",
      headers: whole ? {} : { Range: `bytes=${at}-${span.to - 1}` },
    });
  } catch (error) {
    throw new Retryable(`the server can't be reached (${(error as Error).message})`);
  }
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>) {
  try {
    return await reader.read();
  } catch (error) {
    throw new Retryable(`the connection broke (${(error as Error).message})`);
  }
}

/** How many bytes of the answer lie before `at`. Throws where the answer can't be used. */
function firstByte(response: Response, span: FileSpan, at: number, etag: string | undefined): number {
  const found = response.headers.get("etag");
  if (etag && found && etag !== found) {
    throw downloadFailed("the file changed while it was fetched", span.url, "load the model again");
  }
  if (response.status === 200) return at;
  if (response.status === 206) {
    const range = response.headers.get("content-range");
    // Another origin may hide the header; the digest tells in the end.
    if (range === null || new RegExp(`^bytes ${at}-`).test(range)) return 0;
    throw downloadFailed(`asked for byte ${at}, the server answered ${range}`, span.url, "mend the server's ranges");
  }
  const what = `the server answered ${response.status} ${response.statusText}`.trim();
  if (response.status === 429 || response.status >= 500) {
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    throw new Retryable(what, Number.isFinite(seconds) ? Math.min(seconds * 1000, LONGEST_WAIT_MS) : undefined);
  }
  throw downloadFailed(what, span.url, "check the model's address");
}

/** A failure that another attempt may mend. */
class Retryable extends Error {
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      },
      Math.min(ms, LONGEST_WAIT_MS),
    );
    signal?.addEventListener("abort", stop, { once: true });
  });
}
