/**
 * Where the boxes of a graph stand: layers from start to end, long ways led through free places, each layer ordered so
 * that ways cross little. Pure: a described agent in, coordinates out.
 */

export interface GraphNode {
  readonly name: string;
  readonly kind: string;
  readonly does: string;
  readonly nodes?: readonly GraphNode[];
}

export interface GraphLink {
  readonly from: string;
  readonly to: string;
  readonly kind: string;
  readonly if?: string;
}

/** What `describeYaml` gives, as far as a drawing needs it. */
export interface Described {
  readonly name: string;
  readonly input: Readonly<
    Record<string, { readonly type: string; readonly required: boolean; readonly description: string }>
  >;
  readonly nodes: readonly GraphNode[];
  readonly links: readonly GraphLink[];
}

export interface Box {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly node?: GraphNode;
}

export interface Way {
  readonly link: GraphLink;
  /** From the border of one box to the border of the other. */
  readonly points: readonly (readonly [number, number])[];
  /** Goes up: a loop. */
  readonly isBack: boolean;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly ways: readonly Way[];
}

export const START = "__start__";
export const END = "__end__";
const BOX = { width: 196, height: 44 };
const PILL = { width: 58, height: 24 };
const THREAD = { width: 28, height: 0 };
const GAP_X = 22;
const GAP_Y = 32;
const MARGIN = 12;

export function layOut(agent: Described): Layout {
  const ids = [START, ...agent.nodes.map((node) => node.name), END];
  const links = agent.links.filter((link) => ids.includes(link.from) && ids.includes(link.to));
  const back = backLinks(ids, links);
  const ranks = ranksOf(
    ids,
    links.filter((link) => !back.has(link)),
  );
  const threads = new Map<GraphLink, string[]>();
  const layers: string[][] = [];
  for (const id of ids)
    if (id === START || id === END || isUsed(id, links)) (layers[ranks.get(id) ?? 0] ??= []).push(id);
  for (const [index, link] of links.entries()) {
    if (back.has(link)) continue;
    const between: string[] = [];
    for (let rank = (ranks.get(link.from) ?? 0) + 1; rank < (ranks.get(link.to) ?? 0); rank++) {
      const id = `thread-${index}-${rank}`;
      between.push(id);
      (layers[rank] ??= []).push(id);
    }
    threads.set(link, between);
  }
  const chains = links
    .filter((link) => !back.has(link))
    .map((link) => [link.from, ...(threads.get(link) ?? []), link.to]);
  order(layers, chains);
  const places = place(layers);
  const nodes = new Map(agent.nodes.map((node) => [node.name, node]));
  const boxes = [...places.values()]
    .filter((box) => !box.id.startsWith("thread-"))
    .map((box): Box => {
      const node = nodes.get(box.id);
      return node ? { ...box, node } : box;
    });
  const right = Math.max(...[...places.values()].map((box) => box.x + box.width));
  const width = right + MARGIN + back.size * 18;
  const height = Math.max(...[...places.values()].map((box) => box.y + box.height)) + MARGIN;
  let loops = 0;
  const ways = links.flatMap((link): Way[] => {
    const from = places.get(link.from);
    const to = places.get(link.to);
    if (!from || !to) return [];
    if (back.has(link)) return [{ link, isBack: true, points: around(from, to, right + 10 + loops++ * 18) }];
    const through = (threads.get(link) ?? []).map((id) => middle(places.get(id) ?? from));
    return [{ link, isBack: false, points: [bottom(from), ...through, top(to)] }];
  });
  return { width, height, boxes, ways };
}

function isUsed(id: string, links: readonly GraphLink[]): boolean {
  return links.some((link) => link.from === id || link.to === id);
}

/** Links that close a loop, found depth first from the start. */
function backLinks(ids: readonly string[], links: readonly GraphLink[]): Set<GraphLink> {
  const back = new Set<GraphLink>();
  const state = new Map<string, "open" | "done">();
  const visit = (id: string): void => {
    state.set(id, "open");
    for (const link of links.filter((entry) => entry.from === id)) {
      if (state.get(link.to) === "open") back.add(link);
      else if (!state.has(link.to)) visit(link.to);
    }
    state.set(id, "done");
  };
  for (const id of ids) if (!state.has(id)) visit(id);
  return back;
}

/** The longest way from the start to each; the end stands below everything. */
function ranksOf(ids: readonly string[], links: readonly GraphLink[]): Map<string, number> {
  const ranks = new Map(ids.map((id) => [id, 0]));
  for (let round = 0, changed = true; changed && round <= ids.length; round++) {
    changed = false;
    for (const { from, to } of links) {
      const rank = (ranks.get(from) ?? 0) + 1;
      if (rank > (ranks.get(to) ?? 0)) {
        ranks.set(to, rank);
        changed = true;
      }
    }
  }
  const deepest = Math.max(...ids.filter((id) => id !== END).map((id) => ranks.get(id) ?? 0));
  return ranks.set(END, deepest + 1);
}

/** Order each layer by the middle of what it hangs on, down and up a few times. */
function order(layers: string[][], chains: readonly string[][]): void {
  const above = new Map<string, string[]>();
  const below = new Map<string, string[]>();
  const add = (map: Map<string, string[]>, key: string, value: string): void =>
    void map.set(key, [...(map.get(key) ?? []), value]);
  for (const chain of chains) {
    for (const [index, id] of chain.entries()) {
      const next = chain[index + 1];
      if (next === undefined) continue;
      add(below, id, next);
      add(above, next, id);
    }
  }
  for (let round = 0; round < 4; round++) {
    const downwards = round % 2 === 0;
    const neighbours = downwards ? above : below;
    const sequence = downwards ? layers.keys() : [...layers.keys()].reverse();
    for (const rank of sequence) {
      const reference = layers[downwards ? rank - 1 : rank + 1];
      const layer = layers[rank];
      if (!reference || !layer) continue;
      const weight = new Map(layer.map((id, index) => [id, barycentre(neighbours.get(id), reference) ?? index]));
      layer.sort((a, b) => (weight.get(a) ?? 0) - (weight.get(b) ?? 0));
    }
  }
}

function barycentre(ids: readonly string[] | undefined, reference: readonly string[]): number | undefined {
  const found = (ids ?? []).map((id) => reference.indexOf(id)).filter((index) => index >= 0);
  return found.length > 0 ? found.reduce((sum, index) => sum + index, 0) / found.length : undefined;
}

function sizeOf(id: string): { width: number; height: number } {
  if (id === START || id === END) return PILL;
  return id.startsWith("thread-") ? THREAD : BOX;
}

function place(layers: readonly string[][]): Map<string, Box> {
  const widths = layers.map((layer) => layer.reduce((sum, id) => sum + sizeOf(id).width + GAP_X, -GAP_X));
  const widest = Math.max(...widths);
  const places = new Map<string, Box>();
  let y = MARGIN;
  for (const [rank, layer] of layers.entries()) {
    const height = Math.max(...layer.map((id) => sizeOf(id).height), PILL.height);
    let x = MARGIN + (widest - (widths[rank] ?? 0)) / 2;
    for (const id of layer) {
      const size = sizeOf(id);
      places.set(id, { id, x, y: y + (height - size.height) / 2, ...size });
      x += size.width + GAP_X;
    }
    y += height + GAP_Y;
  }
  return places;
}

const bottom = (box: Box): [number, number] => [box.x + box.width / 2, box.y + box.height];
const top = (box: Box): [number, number] => [box.x + box.width / 2, box.y];
const middle = (box: Box): [number, number] => [box.x + box.width / 2, box.y + box.height / 2];

/** Out to the right, up, and in again. */
function around(from: Box, to: Box, x: number): [number, number][] {
  const start = from.y + from.height * 0.7;
  const end = to.y + to.height * 0.3;
  return [
    [from.x + from.width, start],
    [x, start],
    [x, end],
    [to.x + to.width, end],
  ];
}
