/** A line of an agent file as coloured pieces. Good enough for the eye; the engine alone says what the file means. Pure. */

export interface Coloured {
  readonly kind: "" | "comment" | "key" | "template" | "string" | "number" | "mark";
  readonly text: string;
}

const PIECES =
  /(?<comment>(?:^|(?<=\s))#.*$)|(?<template>\{\{.*?\}\})|(?<key>[A-Za-z_][\w.-]*(?=:(?:\s|$)))|(?<string>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|(?<number>(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]))|(?<mark>^\s*-(?=\s)|[[\]{}:,|>])/g;

export function tokenize(line: string): Coloured[] {
  const found: Coloured[] = [];
  let at = 0;
  for (const match of line.matchAll(PIECES)) {
    if (match.index > at) found.push({ kind: "", text: line.slice(at, match.index) });
    const kind =
      Object.entries((match.groups ?? {}) as Record<string, string | undefined>).find(
        ([, text]) => text !== undefined,
      )?.[0] ?? "";
    // A template inside quotes keeps its own colour.
    if (kind === "string" && match[0].includes("{{")) found.push(...quoted(match[0]));
    else found.push({ kind: kind as Coloured["kind"], text: match[0] });
    at = match.index + match[0].length;
  }
  if (at < line.length) found.push({ kind: "", text: line.slice(at) });
  return found;
}

function quoted(text: string): Coloured[] {
  return text
    .split(/(\{\{.*?\}\})/)
    .filter(Boolean)
    .map((piece) => ({ kind: piece.startsWith("{{") ? "template" : "string", text: piece }));
}
