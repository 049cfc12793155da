// What of the page decides and draws nothing.
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { locate } from "../../demo/address.ts";
import { bytes, count, list, rate, seconds } from "../../demo/format.ts";
import { layOut } from "../../demo/graph-layout.ts";
import { tokenize } from "../../demo/yaml-colours.ts";

const demo = join(import.meta.dirname, "../../demo");

test.each([
  ["draft", { node: "draft", isOwn: true }],
  ["draft#2", { node: "draft", isOwn: true }],
  ["polish/@3/critique", { node: "polish", isOwn: false }],
  ["split/>left/left", { node: "left", isOwn: true }],
  ["split/>left/left#2/[0]/step", { node: "left", isOwn: false }],
  ["split/>left/", { node: "split", isOwn: false }],
  ["map/[7]/embed", { node: "map", isOwn: false }],
  ["map/[7]/", { node: "map", isOwn: false }],
  ["ask?1", { node: "ask", isOwn: true }],
  ["a%2Fb", { node: "a/b", isOwn: true }],
  ["", undefined],
])("the address %j belongs to the node that was drawn", (address, expected) => {
  expect(locate(address)).toEqual(expected);
});

function agent(names, links) {
  return {
    name: "x",
    input: {},
    nodes: names.map((name) => ({ name, kind: "action", does: "llm.call" })),
    links: links.map(([from, to]) => ({ from, to, kind: "goto" })),
  };
}

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

test.each([
  [
    "a line",
    ["a", "b"],
    [
      ["__start__", "a"],
      ["a", "b"],
      ["b", "__end__"],
    ],
  ],
  [
    "a fork",
    ["a", "b", "c"],
    [
      ["__start__", "a"],
      ["a", "b"],
      ["a", "c"],
      ["b", "__end__"],
      ["c", "__end__"],
    ],
  ],
  [
    "a way that skips",
    ["a", "b", "c"],
    [
      ["__start__", "a"],
      ["a", "b"],
      ["b", "c"],
      ["a", "c"],
      ["a", "__end__"],
      ["c", "__end__"],
    ],
  ],
  [
    "a loop",
    ["a", "b"],
    [
      ["__start__", "a"],
      ["a", "b"],
      ["b", "a"],
      ["b", "__end__"],
    ],
  ],
  [
    "a loop on itself",
    ["a"],
    [
      ["__start__", "a"],
      ["a", "a"],
      ["a", "__end__"],
    ],
  ],
])("%s is drawn downwards, without one box on another, and all of it inside the picture", (_name, names, links) => {
  const { boxes, ways, width, height } = layOut(agent(names, links));
  expect(boxes.map((box) => box.id).sort()).toEqual(["__end__", "__start__", ...names].sort());
  for (const [index, a] of boxes.entries()) for (const b of boxes.slice(index + 1)) expect(overlap(a, b)).toBe(false);
  for (const way of ways.filter((each) => !each.isBack)) expect(way.points.at(-1)[1]).toBeGreaterThan(way.points[0][1]);
  for (const [x, y] of ways.flatMap((way) => way.points)) {
    expect(x >= 0 && x <= width && y >= 0 && y <= height).toBe(true);
  }
  expect(ways).toHaveLength(links.length);
});

test("an agent of many nodes is laid out at once", () => {
  const names = Array.from({ length: 200 }, (_, i) => `n${i}`);
  const links = [["__start__", "n0"], ...names.slice(1).map((name, i) => [`n${Math.floor(i / 2)}`, name])];
  expect(layOut(agent(names, links)).boxes).toHaveLength(202);
});

test("a coloured line is the line", () => {
  for (const line of [
    '  - name: "a b"  # why',
    "    text: '{{ state.x }} it''s' and {{ y }}",
    "url: http://x/#y",
    "a: [1, 2.5, {b: c}]",
    "",
    '    - {if: state.sentiment == "negative", to: apologize}',
  ]) {
    expect(
      tokenize(line)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(line);
  }
  expect(tokenize("uses: llm.call # why").map((piece) => piece.kind)).toEqual(["key", "mark", "", "comment"]);
});

test("figures read as people write them", () => {
  expect([bytes(0), bytes(999), bytes(3313152), bytes(1.5e9), bytes(Infinity)]).toEqual([
    "0 bytes",
    "999 bytes",
    "3.3 MB",
    "1.5 GB",
    "unlimited",
  ]);
  expect([seconds(0.0421), seconds(3.21)]).toEqual(["42 ms", "3.2 s"]);
  expect([rate(100, 4), rate(10, 2.5), rate(1, 1), rate(5, 0)]).toEqual(["25 tokens/s", "4.0 tokens/s", "", ""]);
  expect([count(1, "token"), count(2, "token"), list("a", "", "b")]).toEqual(["1 token", "2 tokens", "a · b"]);
});

/** The relative luminance of #rrggbb (WCAG 2). */
function luminance(hex) {
  const [r, g, b] = [...Buffer.from(hex.slice(1), "hex")].map((byte) => {
    const c = byte / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test.each(["light", "dark"])("text stands out from its ground in the %s theme (4.5 to 1)", (theme) => {
  const css = readFileSync(join(demo, "demo.css"), "utf8");
  const colours = Object.fromEntries(
    [...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(([, name, light, dark]) => [
      name,
      theme === "light" ? light : dark,
    ]),
  );
  const pairs = [
    ["ink", "ground"],
    ["ink", "surface"],
    ["ink", "raised"],
    ["quiet", "ground"],
    ["quiet", "surface"],
    ["quiet", "raised"],
    ["accent", "surface"],
    ["accent-strong", "tint"],
    ["on-accent", "accent"],
    ["bad", "bad-tint"],
    ["warn", "warn-tint"],
    ["ink", "warn-tint"],
  ];
  const weak = pairs.filter(([text, ground]) => {
    const [a, b] = [luminance(colours[text]), luminance(colours[ground])].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < 4.5;
  });
  expect(weak).toEqual([]);
});

test("the page's own policy is the server's", () => {
  const page = readFileSync(join(demo, "index.html"), "utf8");
  const server = readFileSync(join(demo, "../../src/the_edge_agent/serving/web_files.py"), "utf8");
  const rules = (text) =>
    [...text.matchAll(/(?:default|script|worker|connect|img|style|object)-src [^;"]+/g)]
      .map(([rule]) => rule.trim())
      .sort();
  expect(rules(page)).toEqual(rules(server));
});
