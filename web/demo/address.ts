/** Which node of the drawing an execution's address belongs to. Pure; the addresses are the engine's. */

export interface Located {
  /** A node of the agent itself, not of a node's inside. */
  readonly node: string;
  /** Whether it is the node's own execution, and not a step, a turn or an item inside it. */
  readonly isOwn: boolean;
}

/** `map/[7]/embed` belongs to `map`; `split/>left/left#2` is `left` itself, in a branch. */
export function locate(address: string): Located | undefined {
  const segments = address.split("/").filter(Boolean);
  const branch = segments.findLastIndex((segment) => segment.startsWith(">"));
  const isEnteringBranch = branch >= 0 && branch === segments.length - 1;
  const at = isEnteringBranch ? branch - 1 : branch + 1;
  const segment = segments[at];
  if (segment === undefined) return undefined;
  const node = decodeURIComponent(segment.replace(/[#?].*$/, ""));
  return { node, isOwn: !isEnteringBranch && at === segments.length - 1 };
}

/** The address of what an event tells of; empty where it tells of the whole run. */
export function addressOf(event: Readonly<Record<string, unknown>>): string {
  return typeof event.address === "string" ? event.address : "";
}
