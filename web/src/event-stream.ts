/** Makes an async iterator of a call that tells events. Knows nothing of what is told. */

import { abortError } from "./errors.js";

/**
 * The events of `start`'s call, until it settles. Leaving the loop early, or `signal`, aborts the call; its error is thrown
 * behind the events that came before.
 */
export async function* streamed<T>(
  start: (onEvent: (event: unknown) => void, signal: AbortSignal) => Promise<unknown>,
  signal?: AbortSignal,
): AsyncGenerator<T, void, void> {
  if (signal?.aborted) throw abortError();
  const controller = new AbortController();
  const stop = (): void => {
    controller.abort();
  };
  signal?.addEventListener("abort", stop, { once: true });
  const waiting: T[] = [];
  const state: { end?: { readonly error?: unknown }; wake: () => void } = { wake: () => undefined };
  const settle = (end: { readonly error?: unknown }): void => {
    state.end = end;
    state.wake();
  };
  const hear = (event: unknown): void => {
    waiting.push(event as T);
    state.wake();
  };
  start(hear, controller.signal).then(
    () => {
      settle({});
    },
    (error: unknown) => {
      settle({ error });
    },
  );
  try {
    for (;;) {
      const event = waiting.shift();
      if (event !== undefined) {
        yield event;
      } else if (state.end) {
        if ("error" in state.end) throw state.end.error;
        return;
      } else {
        await new Promise<void>((resolve) => (state.wake = resolve));
      }
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    controller.abort();
  }
}
