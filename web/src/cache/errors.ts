/** The cache's errors: `TeaError`s with names of their own. */
import { TeaError } from "../errors.js";

/** The document at the manifest's address isn't a chunk manifest. */
export function manifestInvalid(what: string, place: string): TeaError {
  return new TeaError("ManifestInvalid", [{ what, place, fix: "publish the chunk manifest again" }]);
}

/** The server or the line failed, and what was asked for isn't in the cache either. */
export function downloadFailed(what: string, place: string, fix: string, cause?: unknown): TeaError {
  return TeaError.of("DownloadFailed", what, fix, place, cause);
}

/** The server gives other bytes than the manifest promises, twice over. */
export function digestMismatch(chunk: number, place: string): TeaError {
  const what = `chunk ${chunk} differs from the manifest, and differed again when it was fetched again`;
  return new TeaError("DigestMismatch", [{ what, place, fix: "publish the model and its manifest together" }]);
}
