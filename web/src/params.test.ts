import { describe, expect, test } from "vitest";

import { checkInput, checkMessages, samplingBody, type SamplingOptions } from "./params.js";

describe("what a page passes", () => {
  test("a prompt is a conversation of one turn", () => {
    expect(checkMessages("Hello!")).toEqual([{ role: "user", content: "Hello!" }]);
  });

  test("nothing of llama.cpp's own sampling defaults is left in force", () => {
    expect(samplingBody({})).toMatchObject({ temperature: 0, top_k: 0, top_p: 1, min_p: 0, repeat_penalty: 1, seed: 0, max_tokens: -1 });
  });

  test("a temperature draws a seed, and a seed that is given is kept", () => {
    expect(samplingBody({ temperature: 1 }).seed).toBeTypeOf("number");
    expect(samplingBody({ temperature: 1, seed: 7 }).seed).toBe(7);
  });

  test.each<[SamplingOptions, string]>([
    [{ temperature: Number.NaN }, "temperature: it is NaN"],
    [{ maxTokens: 0 }, "maxTokens: it is 0; give a whole number from 1"],
    [{ topP: 1.5 }, "topP: it is 1.5; give a number from 0 to 1"],
    [{ stop: ["a", ""] }, "stop: it isn't up to 64 texts, none of them empty"],
    [{ temprature: 1 } as SamplingOptions, "temprature: there is no such option"],
  ])("%j is refused by name", (options, message) => {
    expect(() => samplingBody(options)).toThrow(message);
  });

  test.each([
    [[], "chat: there are no messages"],
    [[1], "messages[0]: it is no object"],
    [[{ role: "user" }], "messages[0].content: it is missing"],
  ])("messages %j are refused with their place", (messages, message) => {
    expect(() => checkMessages(messages)).toThrow(message);
  });

  test("an input that is no JSON is refused", () => {
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    expect(() => checkInput(loop)).toThrow("state: it is no JSON");
    expect(checkInput(undefined)).toEqual({});
  });
});
