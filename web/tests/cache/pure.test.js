import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { cut, parseManifest, toDocument } from "../../src/cache/manifest.ts";
import {
  chunkStem,
  evictions,
  ggufSpans,
  missingSpans,
  partName,
  spanInFiles,
  usableParts,
} from "../../src/cache/plan.ts";
import { sha256, sha256InScript } from "../../src/cache/sha256.ts";
import { manifestOf, noise } from "../server.js";

const bytes = noise(200_000);

test("a manifest reads back as it was written", () => {
  const { document } = manifestOf(bytes, { parts: 3 });
  expect(toDocument(parseManifest(document, "m"))).toEqual(document);
});

test.each([
  ["no object", () => 7, "it is no JSON object"],
  ["another schema", (d) => ({ ...d, schema: 2 }), "its schema is 2 and not 1"],
  ["no schema", (d) => ({ ...d, schema: undefined }), "its schema is missing and not 1"],
  ["no size", (d) => ({ ...d, size: undefined }), "size, chunk_size and chunks must be there"],
  ["an odd chunk size", (d) => ({ ...d, chunk_size: 100 }), "chunk_size is 100, which is no multiple of 64"],
  ["a digest that is none", (d) => ({ ...d, sha256: "" }), "sha256 is no digest"],
  ["a chunk too few", (d) => ({ ...d, chunks: d.chunks.slice(1) }), "it lists 3 chunks, and 4 make 200000 bytes"],
  [
    "a gap",
    (d) => ({ ...d, chunks: [{ ...d.chunks[0], size: 1 }, ...d.chunks.slice(1)] }),
    "chunk 0 doesn't lie where",
  ],
  [
    "a chunk's digest that is none",
    (d) => ({ ...d, chunks: [...d.chunks.slice(0, 3), { ...d.chunks[3], sha256: 1 }] }),
    "the sha256 of chunk 3 is no digest",
  ],
  [
    "files that don't add up",
    (d) => ({ ...d, files: [{ path: "x", size: 5 }] }),
    "its files are 5 bytes together, and the model is 200000",
  ],
  ["a file without a path", (d) => ({ ...d, files: [{ size: 200000 }] }), "file 0 has no path or no size"],
  [
    "no files and no address",
    (d) => ({ ...d, files: undefined }),
    "it lists no files, and no address of the model was given",
  ],
])("a manifest with %s is refused in a sentence", (_name, spoil, sentence) => {
  const { document } = manifestOf(bytes);
  expect(() => parseManifest(spoil(document), "m.json")).toThrow(sentence);
});

test("SHA-256 in script is the SHA-256 of everyone else, at every length around a block's border", async () => {
  for (const size of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 200_000]) {
    const data = new Uint8Array(noise(size, size + 1));
    const expected = createHash("sha256").update(data).digest("hex");
    expect(Buffer.from(sha256InScript(data)).toString("hex")).toBe(expected);
    expect(await sha256(data)).toBe(expected);
  }
});

test("neighbouring gaps are fetched in one go, and what is here of a chunk is not fetched again", () => {
  const chunks = cut(100, 10);
  const missing = [
    { chunk: chunks[1], haveBytes: 0 },
    { chunk: chunks[2], haveBytes: 0 },
    { chunk: chunks[5], haveBytes: 4 },
    { chunk: chunks[6], haveBytes: 0 },
    { chunk: chunks[7], haveBytes: 10 },
  ];
  expect(missingSpans(missing)).toEqual([
    { from: 10, to: 30 },
    { from: 54, to: 70 },
  ]);
});

test("a span over a file's border is asked for in both files", () => {
  const files = [
    { url: "a", offset: 0, sizeBytes: 30 },
    { url: "b", offset: 30, sizeBytes: 0 },
    { url: "c", offset: 30, sizeBytes: 70 },
  ];
  expect(spanInFiles({ from: 25, to: 45 }, files)).toEqual([
    { url: "a", from: 25, to: 30, fileBytes: 30 },
    { url: "c", from: 0, to: 15, fileBytes: 70 },
  ]);
});

test("the model that was used longest ago makes way first, and no more than needed do", () => {
  const residents = [
    { folder: "new", bytes: 50, usedAt: 30 },
    { folder: "old", bytes: 20, usedAt: 10 },
    { folder: "middle", bytes: 40, usedAt: 20 },
  ];
  const names = (needed, free) => evictions(needed, free, residents).map((r) => r.folder);
  expect(names(10, 10)).toEqual([]);
  expect(names(30, 10)).toEqual(["old"]);
  expect(names(31, 10)).toEqual(["old", "middle"]);
  expect(names(1000, 10)).toEqual(["old", "middle", "new"]);
});

test("pieces of a chunk count as far as they follow one another", () => {
  const sizes = new Map([0, 10, 30].map((at) => [partName("c-1", at), 10]));
  expect(usableParts("c-1", 100, sizes).map((part) => part.at)).toEqual([0, 10]);
  expect(usableParts("c-1", 15, sizes).map((part) => part.at)).toEqual([0]);
});

test("two versions of a model share the chunks that are the same", () => {
  const changed = Buffer.from(bytes);
  changed[70_000] ^= 1;
  const [one, two] = [bytes, changed].map((data, i) =>
    parseManifest(manifestOf(data, { version: String(i) }).document, "m"),
  );
  const stems = (manifest) => manifest.chunks.map((chunk) => chunkStem(chunk, "tag", true));
  expect(stems(one).map((stem, i) => stem === stems(two)[i])).toEqual([true, false, true, true]);
});

test("the shards of a split model are files of their own, and the parts of a cut one are not", () => {
  const spans = (names) =>
    ggufSpans({ sizeBytes: 20, files: names.map((url, i) => ({ url, offset: i * 10, sizeBytes: 10 })) });
  expect(spans(["http://x/m-00001-of-00002.gguf", "http://x/m-00002-of-00002.gguf"])).toEqual([
    { from: 0, to: 10 },
    { from: 10, to: 20 },
  ]);
  expect(spans(["http://x/m.gguf.part.000", "http://x/m.gguf.part.001"])).toEqual([{ from: 0, to: 20 }]);
});
