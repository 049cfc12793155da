// Builds dist/demo/: the page that `tea bundle web` puts before the package. It imports the package as ./tea/index.js.
import { build } from "esbuild";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
const out = join(here, "../dist/demo");

/** The package stays a module of its own: its workers find their files beside it. */
const packageBeside = {
  name: "package-beside",
  setup(builder) {
    builder.onResolve({ filter: /^tea-wasm-llm$/ }, () => ({ path: "./tea/index.js", external: true }));
  },
};

mkdirSync(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { demo: "main.ts" },
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  plugins: [packageBeside],
  logLevel: "warning",
});
await build({ absWorkingDir: here, entryPoints: { demo: "demo.css" }, outdir: out, minify: true, logLevel: "warning" });
for (const name of ["index.html", "icon.svg"]) copyFileSync(join(here, name), join(out, name));
