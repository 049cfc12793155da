/**
 * What can go wrong, as one error class whose message is a sentence a person can act on.
 *
 * Errors of the Python engine arrive with their own names (WorkflowInvalid, ContextLengthExceeded, ...); the browser's own
 * names are listed in `BrowserErrorName`. Knows nothing of workers or of wllama.
 */

/** Errors that only a browser has. */
export type BrowserErrorName =
  | "NotReady"
  | "NoHandler"
  | "BadParameters"
  | "ModelTooLarge"
  | "ModelLoadFailed"
  | "OutOfMemory"
  | "ContextLengthExceeded"
  | "UnsupportedFeature"
  | "DownloadFailed"
  | "StartFailed"
  | "Internal";

/** One thing that is wrong: what, where, and what to do about it. */
export interface Problem {
  readonly what: string;
  readonly place: string;
  readonly fix: string;
}

/** An error as it crosses a worker's border. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly problems: readonly Problem[];
}

/** Every error this package raises. `name` says which one, `message` is `place: what; what to do`. */
export class TeaError extends Error {
  override readonly name: string;
  readonly problems: readonly Problem[];

  constructor(name: string, problems: readonly Problem[], options?: ErrorOptions) {
    super(problems.map(sentence).join("\n"), options);
    this.name = name;
    this.problems = problems;
  }

  /** The one-problem form. */
  static of(name: BrowserErrorName, what: string, fix = "", place = "", cause?: unknown): TeaError {
    return new TeaError(name, [{ what, place, fix }], cause === undefined ? undefined : { cause });
  }
}

/** `place: what; fix`, absent parts left out. */
export function sentence({ what, place, fix }: Problem): string {
  const text = place ? `${place}: ${what}` : what;
  return fix ? `${text}; ${fix}` : text;
}

/** Any thrown value, ready for `postMessage`. */
export function toWire(error: unknown): WireError {
  if (error instanceof TeaError) return { name: error.name, message: error.message, problems: error.problems };
  if (isAbort(error)) return { name: "AbortError", message: "the call was aborted", problems: [] };
  const what = error instanceof Error ? error.message : String(error);
  return { name: "Internal", message: what, problems: [{ what, place: "", fix: "" }] };
}

/** The error that `toWire` packed. An abort becomes the DOMException that `fetch` would throw. */
export function fromWire(wire: WireError): Error {
  if (wire.name === "AbortError") return abortError();
  return new TeaError(wire.name, wire.problems.length ? wire.problems : [{ what: wire.message, place: "", fix: "" }]);
}

/** What an aborted call throws. */
export function abortError(): DOMException {
  return new DOMException("the call was aborted", "AbortError");
}

/** Whether a thrown value means "aborted". */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
