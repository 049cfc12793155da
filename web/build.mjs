// Builds dist/: the page's module, the workers, their assets and the type declarations.
// Everything a page needs lies in dist/ afterwards; nothing is fetched from elsewhere, here or there.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createRequire } from "node:module";

const here = import.meta.dirname;
const dist = join(here, "dist");
const require = createRequire(import.meta.url);

const entries = {
  index: "src/index.ts",
  "model-worker": "src/model-worker.ts",
  "engine-worker": "src/engine-worker.ts",
  cache: "src/cache/index.ts",
  "service-worker": "src/service-worker.ts",
  "service-worker-client": "src/service-worker-client.ts",
};

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", cwd: here, ...options });
  if (error || status !== 0) {
    console.error(`build: ${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
    process.exit(1);
  }
}

function copy(from, name) {
  mkdirSync(dirname(join(dist, name)), { recursive: true });
  copyFileSync(from, join(dist, name));
}

rmSync(dist, { recursive: true, force: true });
await build({
  absWorkingDir: here,
  entryPoints: Object.fromEntries(Object.entries(entries).filter(([, source]) => existsSync(join(here, source)))),
  outdir: dist,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "inline",
  external: ["node:*"],
  logLevel: "warning",
});
run(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", "tsconfig.types.json"]);

const wllama = dirname(require.resolve("@wllama/wllama/package.json"));
copy(join(wllama, "esm/wasm/wllama.wasm"), "wllama.wasm");
const pyodide = dirname(require.resolve("pyodide/package.json"));
for (const name of ["pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"]) {
  copy(join(pyodide, name), `pyodide/${name}`);
}
// The Python engine as one archive; PYTHON must have the package installed (the project's virtual environment has).
run(process.env.PYTHON ?? join(here, "../.venv/bin/python"), ["-m", "the_edge_agent.browser.archive", join(dist, "engine.zip")]);
run(process.execPath, ["snapshot.mjs", dist]);
run(process.execPath, ["demo/build.mjs"]);
writeFileSync(join(dist, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
