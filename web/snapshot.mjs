// Starts the engine once and keeps its memory: node snapshot.mjs DIST. A tab that begins there needs a sixth of the time.
// Everything of engine.zip is imported before, so that a tab with the snapshot needs no engine.zip.
import { loadPyodide } from "pyodide";
import crypto from "node:crypto"; // the module itself, which Pyodide asks for its bytes
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { gzipSync } from "node:zlib";

const dist = process.argv[2];
process.argv.length = 1; // Pyodide keeps the program's name and arguments, and they would be this machine's paths

// Twice the same bits: no clock and no chance. Tabs draw their own random numbers (see BOOT in src/engine-worker.ts).
const EPOCH_MS = Date.UTC(1980, 0, 1);
globalThis.Date = class extends Date {
  constructor(...given) {
    super(...(given.length > 0 ? given : [EPOCH_MS]));
  }
  static now() {
    return EPOCH_MS;
  }
};
performance.now = () => 0;
crypto.randomFillSync = (bytes) => bytes.fill(7);

const PRELOAD = `
import importlib, pathlib, random, sys
sys.path.insert(0, "/engine")
for path in sorted(pathlib.Path("/engine/the_edge_agent").rglob("*.py")):
    name = ".".join(path.relative_to("/engine").with_suffix("").parts)
    importlib.import_module(name.removesuffix(".__init__"))
from the_edge_agent.browser.boot import boot
random.seed(0)
`;

const pyodide = await loadPyodide({
  indexURL: `${join(dist, "pyodide")}/`,
  env: { HOME: "/home/pyodide", PYTHONHASHSEED: "0" },
  _makeSnapshot: true,
});
pyodide.unpackArchive(new Uint8Array(readFileSync(join(dist, "engine.zip"))), "zip", { extractDir: "/engine" });
pyodide.runPython(PRELOAD);
const snapshot = pyodide.makeMemorySnapshot();
writeFileSync(join(dist, "engine.snapshot.gz"), gzipSync(snapshot, { level: 9 }));
