/**
 * Calls over a MessagePort or a worker: a result, events on the way, and cancellation both ways.
 *
 * One message is one of Call, Cancel (caller to server), Event, Result, Failure (server to caller). Knows nothing of what is
 * called.
 */

import { abortError, fromWire, toWire, type WireError } from "./errors.js";

/** What both a Worker, a worker's own scope and a MessagePort can do. */
export interface Endpoint {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  removeEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  start?(): void;
}

/** What a method gets beside its parameter: a way to tell, and a way to hear that nobody waits any more. */
export interface CallContext {
  readonly emit: (event: unknown) => void;
  readonly signal: AbortSignal;
}

/** A served method. What it returns or emits must survive structured cloning. */
export type Method = (params: never, context: CallContext) => unknown;
export type Methods = Readonly<Record<string, Method>>;

/** What a caller may say about a call. */
export interface CallOptions {
  readonly onEvent?: ((event: unknown) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly transfer?: Transferable[] | undefined;
}

type Message =
  | { readonly kind: "call"; readonly id: number; readonly method: string; readonly params: unknown }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "event"; readonly id: number; readonly event: unknown }
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly error: WireError };

/** Serve `methods` to whoever speaks on the other end; returns the way to stop. */
export function serve(endpoint: Endpoint, methods: Methods): () => void {
  const running = new Map<number, AbortController>();
  const listener = ({ data }: MessageEvent): void => {
    const message = data as Message;
    if (message.kind === "cancel") running.get(message.id)?.abort();
    if (message.kind !== "call") return;
    const { id, method, params } = message;
    const controller = new AbortController();
    running.set(id, controller);
    const emit = (event: unknown): void => {
      if (running.has(id)) endpoint.postMessage({ kind: "event", id, event } satisfies Message, []);
    };
    const act = async (): Promise<unknown> => {
      const chosen = methods[method];
      if (!chosen) throw new Error(`no method ${method} is served here`);
      return await chosen(params as never, { emit, signal: controller.signal });
    };
    act()
      .then(
        (value): Message => ({ kind: "result", id, value }),
        (error: unknown): Message => ({ kind: "failure", id, error: toWire(error) }),
      )
      .then((answer) => {
        running.delete(id);
        endpoint.postMessage(answer, []);
      })
      .catch((error: unknown) => {
        endpoint.postMessage({ kind: "failure", id, error: toWire(error) } satisfies Message, []);
      });
  };
  endpoint.addEventListener("message", listener);
  endpoint.start?.();
  return () => {
    endpoint.removeEventListener("message", listener);
    for (const controller of running.values()) controller.abort();
  };
}

/** The calling end. `fail` ends every call that waits, for a worker that died. */
export class Caller {
  readonly #endpoint: Endpoint;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #broken: Error | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    endpoint.addEventListener("message", ({ data }) => {
      this.#hear(data as Message);
    });
    endpoint.start?.();
  }

  /** Call a method; an aborted call rejects with AbortError at once and the server is told. */
  call<T>(method: string, params: unknown, { onEvent, signal, transfer }: CallOptions = {}): Promise<T> {
    if (this.#broken) return Promise.reject(this.#broken);
    if (signal?.aborted) return Promise.reject(abortError());
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.delete(id);
        this.#endpoint.postMessage({ kind: "cancel", id } satisfies Message, []);
        reject(abortError());
      };
      const done = (): void => {
        signal?.removeEventListener("abort", abort);
        this.#waiting.delete(id);
      };
      this.#waiting.set(id, {
        onEvent,
        resolve: (value) => {
          done();
          resolve(value as T);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      signal?.addEventListener("abort", abort, { once: true });
      this.#endpoint.postMessage({ kind: "call", id, method, params } satisfies Message, transfer ?? []);
    });
  }

  /** Reject everything that waits and every later call. */
  fail(error: Error): void {
    this.#broken = error;
    for (const waiting of [...this.#waiting.values()]) waiting.reject(error);
  }

  #hear(message: Message): void {
    if (message.kind === "call" || message.kind === "cancel") return;
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    if (message.kind === "event") waiting.onEvent?.(message.event);
    else if (message.kind === "result") waiting.resolve(message.value);
    else waiting.reject(fromWire(message.error));
  }
}

interface Waiting {
  readonly onEvent: ((event: unknown) => void) | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}
