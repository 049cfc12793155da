import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

import { readGgufHeader } from "./gguf-header.js";

const TINY = readFileSync(new URL("../../src/the_edge_agent/store/embedded/tiny.gguf", import.meta.url));

function blob(bytes: Uint8Array): Blob {
  return new Blob([new Uint8Array(bytes)]);
}

describe("the header of the embedded model", () => {
  test("tells what loading and prompting need", async () => {
    const header = await readGgufHeader(blob(TINY));
    expect(header).toMatchObject({ architecture: "llama", name: "tea-tiny", contextLength: 2048, eosToken: "<|im_end|>" });
    expect(header.kvBytesPerToken).toBe(6 * 3 * (64 + 64) * 2);
    expect(header.controlTokens).toContain("<tool_call>");
    expect(header.controlTokens).not.toContain("a");
  });

  test("cut off anywhere in its header is refused in a sentence", async () => {
    for (const size of [0, 3, 4, 12, 24, 100, 5000]) {
      await expect(readGgufHeader(blob(TINY.subarray(0, size)))).rejects.toMatchObject({
        name: "ModelLoadFailed",
        message: expect.stringContaining("ends in the middle of its header") as string,
      });
    }
  });

  test("with any early byte flipped is read or refused, and never anything else", async () => {
    for (let at = 0; at < 400; at++) {
      const bytes = new Uint8Array(TINY.subarray(0, 200_000));
      bytes[at]! ^= 0xff;
      const told = await readGgufHeader(blob(bytes)).catch((error: unknown) => error);
      if (told instanceof Error) expect(told.name).toBe("ModelLoadFailed");
    }
  });
});

test("a file of something else is refused in a sentence", async () => {
  await expect(readGgufHeader(new Blob(["<!doctype html><title>not found</title>"]))).rejects.toThrow(
    "model: the file is no usable GGUF: it doesn't begin with GGUF; check the address and download it again",
  );
});
