// A static server on loopback for tests: counts what it gives, and misbehaves where a test asks for it.
import { Buffer } from "node:buffer";
import http from "node:http";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".yaml": "text/yaml; charset=utf-8",
};
const PIECE_BYTES = 64 * 1024;

/**
 * Serve `files` (path → bytes or text) and, behind them, the folder `root`.
 *
 * `fault(request, n)` may answer {status, headers, cutAfter, ignoreRange, flip, bytesPerS}: what the n-th request of that
 * path gets instead of a good answer. `isolated` adds COOP and COEP. The server's `log` holds a row for each request.
 */
export async function serve({ files = {}, root, fault = () => undefined, isolated = true, bytesPerS = 0 } = {}) {
  const log = [];
  const counts = new Map();
  const sockets = new Set();
  const state = { files: new Map(Object.entries(files)), fault, bytesPerS };

  const server = http.createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });

  async function answer(request, response) {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const n = counts.get(path) ?? 0;
    counts.set(path, n + 1);
    const row = { method: request.method, path, range: request.headers.range, status: 0, bytes: 0 };
    log.push(row);
    const body = find(path);
    const odd = state.fault({ path, method: request.method, headers: request.headers }, n) ?? {};
    const headers = { "cache-control": "no-cache", ...(odd.headers ?? {}) };
    if (isolated) {
      headers["cross-origin-opener-policy"] = "same-origin";
      headers["cross-origin-embedder-policy"] = "require-corp";
      headers["cross-origin-resource-policy"] = "same-origin";
    }
    if (odd.status || !body) {
      row.status = odd.status ?? 404;
      response.writeHead(row.status, headers);
      return response.end();
    }
    headers.etag ??= tagOf(body);
    headers["content-type"] = TYPES[path.endsWith("/") ? ".html" : extname(path)] ?? "application/octet-stream";
    headers["accept-ranges"] = "bytes";
    let from = 0;
    let to = body.length;
    row.status = 200;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    if (range && !odd.ignoreRange) {
      from = Number(range[1]);
      to = range[2] ? Math.min(Number(range[2]) + 1, body.length) : body.length;
      row.status = 206;
      headers["content-range"] = `bytes ${from}-${to - 1}/${body.length}`;
    }
    headers["content-length"] = to - from;
    response.writeHead(row.status, headers);
    if (request.method === "HEAD") return response.end();
    response.setMaxListeners(0);
    const end = odd.cutAfter === undefined ? to : Math.min(to, from + odd.cutAfter);
    const rate = odd.bytesPerS ?? state.bytesPerS;
    for (let at = from; at < end && !response.destroyed; at += PIECE_BYTES) {
      let piece = body.subarray(at, Math.min(end, at + PIECE_BYTES));
      if (odd.flip !== undefined && odd.flip >= at && odd.flip < at + piece.length) {
        piece = Buffer.from(piece);
        piece[odd.flip - at] ^= 1;
      }
      if (!response.write(piece)) await Promise.race([once(response, "drain"), once(response, "close")]);
      row.bytes += piece.length;
      if (rate) await sleep((piece.length / rate) * 1000);
    }
    if (end < to) return response.destroy();
    response.end();
  }

  function find(path) {
    const given = state.files.get(path);
    if (given instanceof Uint8Array) return given;
    if (given !== undefined) return Buffer.from(given);
    if (!root) return undefined;
    const file = join(root, normalize(path.endsWith("/") ? `${path}index.html` : path));
    return file.startsWith(root) && existsSync(file) && statSync(file).isFile() ? readFileSync(file) : undefined;
  }

  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    url,
    log,
    /** Change `fault`, `bytesPerS`, or `files` by hand. */
    state,
    /** Bytes given for paths that match. */
    bytes: (pattern) => log.filter((row) => pattern.test(row.path)).reduce((sum, row) => sum + row.bytes, 0),
    async close() {
      sockets.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const tags = new WeakMap();

/** The digest of a body; of bytes that stay, counted once. */
function tagOf(body) {
  const tag = tags.get(body) ?? `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
  tags.set(body, tag);
  return tag;
}

function once(emitter, event) {
  return new Promise((resolve) => emitter.once(event, resolve));
}

/** `size` bytes that look random and are the same every time for a seed. */
export function noise(size, seed = 1) {
  const bytes = Buffer.alloc(size);
  let x = seed * 2654435761 + 1;
  for (let i = 0; i < size; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** The manifest document of `bytes`, in `parts` files called `name.part.000`, ... (or one called `name`). */
export function manifestOf(bytes, { name = "model.gguf", version = "1", chunkBytes = 65536, parts = 1 } = {}) {
  const sha256 = (data) => createHash("sha256").update(data).digest("hex");
  const chunks = [];
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    const piece = bytes.subarray(offset, offset + chunkBytes);
    chunks.push({ offset, size: piece.length, sha256: sha256(piece) });
  }
  const files = {};
  const list = [];
  const partBytes = Math.ceil(bytes.length / parts);
  for (let part = 0; part < parts; part++) {
    const piece = bytes.subarray(part * partBytes, (part + 1) * partBytes);
    const path = parts === 1 ? name : `${name}.part.${String(part).padStart(3, "0")}`;
    list.push({ path, size: piece.length });
    files[path] = piece;
  }
  const document = {
    schema: 1,
    model: name.replace(/\.gguf$/, ""),
    version,
    size: bytes.length,
    sha256: sha256(bytes),
    chunk_size: chunkBytes,
    chunks,
    files: list,
  };
  return { document, files };
}
