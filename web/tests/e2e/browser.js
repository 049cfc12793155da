// A real Chromium over a real server, and scenarios that are run by name: node tests/e2e/FILE.js "name of the scenario".
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { chromium } from "playwright-core";

export const web = join(import.meta.dirname, "../..");
const CHROMIUM = process.env.TEA_CHROMIUM ?? "/usr/bin/chromium";
const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** A source file of the package with all it imports, as one module. */
export async function bundle(source) {
  const { outputFiles } = await build({
    absWorkingDir: web,
    entryPoints: [source],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return outputFiles[0].text;
}

/**
 * A browser with a profile of its own. `restart()` closes it and starts another one on the same profile; `strangers`
 * lists requests that left for another host than this machine.
 */
export async function openBrowser({ args = [], hosts = ["127.0.0.1"], ...options } = {}) {
  const profile = mkdtempSync(join(tmpdir(), "tea-browser-"));
  const browser = {
    strangers: [],
    errors: [],
    async start() {
      browser.context = await chromium.launchPersistentContext(profile, {
        executablePath: CHROMIUM,
        headless: true,
        args: [...QUIET, ...args],
        ...options,
      });
      browser.context.on("request", (request) => {
        const url = new URL(request.url());
        if (/^(http|ws)/.test(url.protocol) && !hosts.includes(url.hostname)) browser.strangers.push(request.url());
      });
      browser.context.on("weberror", (error) => browser.errors.push(String(error.error())));
    },
    async open(url) {
      const page = await browser.context.newPage();
      await page.goto(url);
      return page;
    },
    async restart() {
      await browser.context.close();
      await browser.start();
    },
    async close() {
      await browser.context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
  await browser.start();
  return browser;
}

const scenarios = new Map();

/** Name a scenario; `run({after})` throws where it doesn't hold. What is given to `after` is closed in the end. */
export function scenario(name, run) {
  scenarios.set(name, run);
}

/** Run the scenarios that the command line names, or all, and exit; with 1 where one fails. */
export async function main() {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !scenarios.has(name));
  if (unknown.length > 0) throw new Error(`no scenario ${JSON.stringify(unknown)}`);
  for (const name of asked.length > 0 ? asked : scenarios.keys()) {
    const owned = [];
    const after = (thing) => (owned.unshift(thing), thing);
    const started = Date.now();
    try {
      await scenarios.get(name)({ after });
      console.log(`ok   ${name} (${Date.now() - started} ms)`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`FAIL ${name} (${Date.now() - started} ms)\n${error.stack}`);
    } finally {
      for (const thing of owned) await thing.close();
    }
  }
  // A server that a failed scenario left open must not keep the process.
  process.exit();
}
