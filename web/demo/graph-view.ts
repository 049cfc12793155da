/** Draws the graph and lights its nodes up as the events of a run come in. */
import type { RunEvent } from "tea-wasm-llm";
import { addressOf, locate } from "./address.js";
import { makeSvg } from "./dom.js";
import { END, layOut, START, type Box, type Described, type Way } from "./graph-layout.js";

export type NodeState = "idle" | "running" | "done" | "failed" | "waiting" | "skipped";

const WORDS: Record<NodeState, string> = {
  idle: "not run yet",
  running: "running",
  done: "done",
  failed: "failed",
  waiting: "waits for you",
  skipped: "skipped",
};
const LONGEST_NAME = 22;
const LONGEST_DOES = 28;
const LONGEST_CONDITION = 15;

interface Drawn {
  readonly group: SVGGElement;
  readonly title: SVGTitleElement;
  readonly badge: SVGTextElement;
  readonly box: Box;
  state: NodeState;
  branches: number;
  branchesDone: number;
}

export class GraphView {
  readonly #place: HTMLElement;
  #boxes = new Map<string, Drawn>();
  #ways: { way: Way; path: SVGPathElement }[] = [];
  #finished: string[] = [];

  constructor(place: HTMLElement) {
    this.#place = place;
  }

  draw(agent: Described): void {
    const layout = layOut(agent);
    const svg = makeSvg("svg", {
      viewBox: `0 0 ${layout.width} ${layout.height}`,
      width: layout.width,
      height: layout.height,
      role: "img",
      "aria-label": `${agent.name}: ${agent.nodes.map((node) => node.name).join(", then ")}`,
    });
    svg.append(arrowHead("arrow"), arrowHead("arrow-taken"));
    const ways = makeSvg("g");
    svg.append(ways);
    this.#ways = layout.ways.map((way) => {
      const path = makeSvg("path", {
        d: curve(way.points, way.isBack),
        class: `way ${way.link.kind}`,
        "marker-end": "url(#arrow)",
      });
      ways.append(path);
      return { way, path };
    });
    for (const { way } of this.#ways) if (way.link.if) svg.append(label(way));
    this.#boxes = new Map(layout.boxes.map((box) => [box.id, drawBox(box)]));
    for (const { group } of this.#boxes.values()) svg.append(group);
    this.#place.replaceChildren(svg);
    this.reset();
  }

  /** As before a run. */
  reset(): void {
    this.#finished = [];
    for (const drawn of this.#boxes.values()) {
      drawn.branches = drawn.branchesDone = 0;
      this.#set(drawn, "idle");
    }
    for (const { path } of this.#ways) light(path, false);
  }

  /** Show what an event says. */
  show(event: RunEvent): void {
    const located = locate(addressOf(event));
    const drawn = located && this.#boxes.get(located.node);
    if (event.type === "run_started") this.#mark(START, "done");
    if (event.type === "finished") {
      this.#take(END);
      this.#mark(END, "done");
    }
    if (event.type === "failed")
      for (const each of this.#boxes.values()) if (each.state === "running") this.#set(each, "failed");
    if (!drawn) return;
    const { node: name, isOwn } = located;
    if (event.type === "node_started" && isOwn) {
      this.#take(name);
      // A question may overtake the event that its node has started.
      if (drawn.state !== "waiting") this.#set(drawn, "running");
    } else if (event.type === "node_finished" && isOwn) {
      if (drawn.state === "idle") this.#take(name);
      this.#set(drawn, event.skipped === true ? "skipped" : "done");
      this.#finished.push(name);
    } else if (event.type === "branch_started") {
      drawn.branches += 1;
      this.#set(drawn, drawn.state);
    } else if (event.type === "branch_finished") {
      drawn.branchesDone += 1;
      this.#set(drawn, drawn.state);
    } else if (event.type === "interrupted") this.#set(drawn, "waiting");
    else if (event.type === "node_error_handled" && isOwn) {
      this.#set(drawn, "failed");
      this.#finished.push(name);
    }
  }

  #mark(id: string, state: NodeState): void {
    const drawn = this.#boxes.get(id);
    if (drawn) this.#set(drawn, state);
  }

  #set(drawn: Drawn, state: NodeState): void {
    drawn.state = state;
    drawn.group.dataset.state = state;
    drawn.badge.textContent = drawn.branches > 0 ? `${drawn.branchesDone}/${drawn.branches}` : "";
    const { node } = drawn.box;
    if (node) drawn.title.textContent = `${node.name}: ${node.does} (${WORDS[state]})`;
  }

  /** Light the way that led to a node: from the latest finished one that has a way there. */
  #take(to: string): void {
    for (const from of [...this.#finished].reverse().concat(START)) {
      const taken = this.#ways.filter(({ way }) => way.link.from === from && way.link.to === to);
      for (const { path } of taken) light(path, true);
      if (taken.length > 0) return;
    }
  }
}

function light(path: SVGPathElement, taken: boolean): void {
  path.classList.toggle("taken", taken);
  if (taken) path.parentElement?.append(path); // Above those that weren't.
  path.setAttribute("marker-end", taken ? "url(#arrow-taken)" : "url(#arrow)");
}

function drawBox(box: Box): Drawn {
  const { node, x, y, width, height } = box;
  const title = makeSvg("title");
  const badge = makeSvg("text", { x: x + width - 10, y: y + 19, class: "badge", "text-anchor": "end" });
  const group = makeSvg("g", { class: node ? `box ${node.kind}` : "pill" }, title);
  group.append(makeSvg("rect", { x, y, width, height, rx: node ? 8 : height / 2 }));
  if (node) {
    group.append(
      makeSvg("circle", { cx: x + 15, cy: y + 15, r: 4.5, class: "lamp" }),
      makeSvg("text", { x: x + 27, y: y + 19, class: "name" }, short(node.name, LONGEST_NAME)),
      makeSvg("text", { x: x + 27, y: y + 35, class: "does" }, short(node.does, LONGEST_DOES)),
      badge,
    );
  } else {
    title.textContent = box.id === START ? "start" : "end";
    group.append(
      makeSvg(
        "text",
        { x: x + width / 2, y: y + height / 2 + 4, "text-anchor": "middle", class: "does" },
        title.textContent,
      ),
    );
  }
  return { group, title, badge, box, state: "idle", branches: 0, branchesDone: 0 };
}

function curve(points: Way["points"], isBack: boolean): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let d = `M${first[0]},${first[1]}`;
  let [x, y] = first;
  for (const [toX, toY] of rest) {
    const half = (toY - y) / 2;
    d += isBack ? `L${toX},${toY}` : `C${x},${y + half} ${toX},${toY - half} ${toX},${toY}`;
    [x, y] = [toX, toY];
  }
  return d;
}

/** Beside the arrow's point, on the side it doesn't come from. */
function label({ link, points, isBack }: Way): SVGGElement {
  const [fromX] = points[0] ?? [0];
  const [x, y] = (isBack ? points[1] : points.at(-1)) ?? [0, 0];
  const isLeft = x < fromX;
  const text = makeSvg(
    "text",
    { x: isLeft ? x - 8 : x + 8, y: y - 9, class: "condition", "text-anchor": isLeft ? "end" : "start" },
    short((link.if ?? "").replaceAll("state.", ""), LONGEST_CONDITION),
  );
  return makeSvg("g", {}, makeSvg("title", {}, `if ${link.if ?? ""}`), text);
}

function arrowHead(id: string): SVGMarkerElement {
  return makeSvg(
    "marker",
    {
      id,
      class: id,
      viewBox: "0 0 8 8",
      refX: 7,
      refY: 4,
      markerWidth: 9,
      markerHeight: 9,
      markerUnits: "userSpaceOnUse",
      orient: "auto-start-reverse",
    },
    makeSvg("path", { d: "M0,0 8,4 0,8z" }),
  );
}

function short(text: string, most: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
