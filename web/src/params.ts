/**
 * Checks what a page passes, before anything starts: every refusal names the field and what fits. Pure.
 */

import { TeaError } from "./errors.js";

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
}

/** How the next token is chosen. Temperature 0, the default, always takes the likeliest. */
export interface SamplingOptions {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly stop?: string | readonly string[];
  readonly repeatPenalty?: number;
  /** A JSON schema that the answer is held to while it is written. */
  readonly jsonSchema?: Readonly<Record<string, unknown>>;
}

const RANGES: Readonly<Record<string, readonly [field: string, low: number, high: number, whole: boolean]>> = {
  maxTokens: ["max_tokens", 1, 1_000_000, true],
  temperature: ["temperature", 0, 100, false],
  topP: ["top_p", 0, 1, false],
  topK: ["top_k", 0, 1_000_000, true],
  minP: ["min_p", 0, 1, false],
  seed: ["seed", 0, 2 ** 32 - 1, true],
  repeatPenalty: ["repeat_penalty", 0.01, 100, false],
};
/** llama.cpp's own defaults are others; every one is said. */
const DEFAULTS = { max_tokens: -1, temperature: 0, top_p: 1, top_k: 0, min_p: 0, repeat_penalty: 1 } as const;
const ROLES = new Set(["system", "user", "assistant", "tool"]);
const OWN = new Set([...Object.keys(RANGES), "stop", "jsonSchema", "signal", "onToken"]);

/** A conversation, from one prompt or a list of turns. Raises BadParameters. */
export function checkMessages(given: unknown): readonly ChatMessage[] {
  if (typeof given === "string") return [{ role: "user", content: given }];
  if (!Array.isArray(given) || given.length === 0) {
    throw bad("chat", "there are no messages", "give a string, or a list of {role, content}");
  }
  return given.map((entry: unknown, index): ChatMessage => {
    const place = `messages[${index}]`;
    if (typeof entry !== "object" || entry === null) throw bad(place, "it is no object", "give {role, content}");
    const { role, content } = entry as Record<string, unknown>;
    if (typeof role !== "string" || !ROLES.has(role)) {
      throw bad(`${place}.role`, `it is ${show(role)}`, `give one of ${[...ROLES].join(", ")}`);
    }
    if (typeof content !== "string") throw bad(`${place}.content`, `it is ${show(content)}`, "give a text");
    return { role: role as ChatMessage["role"], content };
  });
}

/** Sampling in llama.cpp's field names, nothing left to its defaults. Raises BadParameters. */
export function samplingBody(options: SamplingOptions): Record<string, unknown> {
  const body: Record<string, unknown> = { ...DEFAULTS, repeat_last_n: 64 };
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (!OWN.has(name)) throw bad(name, "there is no such option", `give some of ${[...OWN].join(", ")}`);
    const range = RANGES[name];
    if (range) body[range[0]] = checkNumber(name, value, range);
  }
  body.samplers = ["penalties", "top_k", "top_p", "min_p", "temperature"];
  body.seed ??= body.temperature === 0 ? 0 : crypto.getRandomValues(new Uint32Array(1))[0];
  const { stop, jsonSchema } = options;
  if (stop !== undefined) body.stop = checkStop(stop);
  if (jsonSchema !== undefined) {
    if (typeof jsonSchema !== "object") throw bad("jsonSchema", "it is no object", "give a JSON schema");
    body.response_format = { type: "json_schema", json_schema: { name: "answer", schema: jsonSchema, strict: true } };
  }
  return body;
}

/** Texts to embed, as a list. Raises BadParameters. */
export function checkTexts(given: unknown): readonly string[] {
  const texts: readonly unknown[] = Array.isArray(given) ? given : [given];
  texts.forEach((text, index) => {
    if (typeof text !== "string") throw bad(`texts[${index}]`, `it is ${show(text)}`, "give a text, or a list of texts");
  });
  return texts as readonly string[];
}

/** A text of YAML. Raises BadParameters. */
export function checkYaml(given: unknown): string {
  if (typeof given === "string" && given.trim()) return given;
  throw bad("yaml", typeof given === "string" ? "it is empty" : `it is ${show(given)}`, "pass the agent's text");
}

/** A run's input. Raises BadParameters. */
export function checkInput(given: unknown): Readonly<Record<string, unknown>> {
  if (given === undefined || given === null) return {};
  if (typeof given !== "object" || Array.isArray(given)) throw bad("state", `it is ${show(given)}`, "give an object of input values");
  try {
    return JSON.parse(JSON.stringify(given)) as Record<string, unknown>;
  } catch (error) {
    throw bad("state", `it is no JSON: ${error instanceof Error ? error.message : String(error)}`, "give plain values");
  }
}

function checkNumber(name: string, value: unknown, [, low, high, whole]: readonly [string, number, number, boolean]): number {
  const fits = typeof value === "number" && value >= low && value <= high && (!whole || Number.isInteger(value));
  if (fits) return value;
  throw bad(name, `it is ${show(value)}`, `give a ${whole ? "whole " : ""}number from ${low} to ${high}`);
}

function checkStop(stop: unknown): readonly string[] {
  const texts: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  if (texts.length <= 64 && texts.every((text) => typeof text === "string" && text)) return texts as readonly string[];
  throw bad("stop", "it isn't up to 64 texts, none of them empty", "remove the empty or surplus ones");
}

function bad(place: string, what: string, fix: string): TeaError {
  return TeaError.of("BadParameters", what, fix, place);
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return Array.isArray(value) ? "a list" : value === null ? "null" : `a value of type ${typeof value}`;
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
