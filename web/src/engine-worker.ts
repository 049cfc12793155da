/** The worker that owns the Python engine: starts Pyodide, and passes calls between Python, the model, storage and page. */

import { loadPyodide } from "pyodide";

import { TeaError } from "./errors.js";
import { Caller, serve, type CallContext, type Endpoint, type Methods } from "./rpc.js";
import { Stored, type MemoryEntry, type RecordToKeep } from "./stored.js";

/** What the page says when it starts the engine. */
export interface StartParams {
  readonly assetsUrl: string;
  readonly hasHandler: boolean;
  readonly modelPort: MessagePort;
}

const page = self as unknown as Endpoint;
const toPage = new Caller(page);
const stored = new Stored();
let engine: Promise<Caller> | undefined;

/** Python as an endpoint: JSON texts in both directions, through two functions. */
class PythonEndpoint implements Endpoint {
  receive: ((text: string) => void) | undefined;
  readonly #listeners = new Set<(event: MessageEvent) => void>();

  readonly post = (text: string): void => {
    const event = new MessageEvent("message", { data: JSON.parse(text) as unknown });
    for (const listener of this.#listeners) listener(event);
  };

  postMessage(message: unknown): void {
    this.receive?.(JSON.stringify(message));
  }

  addEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#listeners.delete(listener);
  }
}

async function start({ assetsUrl, hasHandler, modelPort }: StartParams): Promise<Caller> {
  const endpoint = new PythonEndpoint();
  serve(endpoint, hostMethods(new Caller(modelPort)));
  const pyodide = (await fromSnapshot(assetsUrl)) ?? (await fromArchive(assetsUrl));
  const boot = pyodide.runPython(BOOT) as Boot;
  endpoint.receive = boot.callKwargs(endpoint.post, { has_handler: hasHandler });
  return new Caller(endpoint);
}

/** Python as it was when the package was built, everything imported; undefined where the file isn't served. */
async function fromSnapshot(assetsUrl: string): Promise<Pyodide | undefined> {
  const response = await fetch(new URL("engine.snapshot.gz", assetsUrl)).catch(() => undefined);
  if (!response?.ok || !response.body || typeof DecompressionStream === "undefined") return undefined;
  // A server that knows .gz may have announced it, and then the browser has unpacked it.
  const packed = response.headers.get("content-encoding") === null;
  const bytes = packed ? response.body.pipeThrough(new DecompressionStream("gzip")) : response.body;
  const snapshot = new Response(bytes).arrayBuffer();
  return await load(assetsUrl, { _loadSnapshot: snapshot });
}

/** Python started anew, with the engine's sources. */
async function fromArchive(assetsUrl: string): Promise<Pyodide> {
  const [pyodide, archive] = await Promise.all([load(assetsUrl, {}), fetchBytes(new URL("engine.zip", assetsUrl).href)]);
  pyodide.unpackArchive(archive, "zip", { extractDir: "/engine" });
  pyodide.runPython("import sys; sys.path.insert(0, '/engine')");
  return pyodide;
}

function load(assetsUrl: string, more: object): Promise<Pyodide> {
  return loadPyodide({ indexURL: new URL("pyodide/", assetsUrl).href, stdout: silent, stderr: silent, ...more });
}

/** The snapshot's random numbers would be every tab's. */
const BOOT = "import random; random.seed(); from the_edge_agent.browser.boot import boot; boot";

type Pyodide = Awaited<ReturnType<typeof loadPyodide>>;

interface Boot { callKwargs(post: (text: string) => void, options: { has_handler: boolean }): (text: string) => void }

/** What Python may call: its model, what is kept, and the page. */
function hostMethods(model: Caller): Methods {
  return {
    "model.info": pass(model, "info"),
    "model.complete": pass(model, "complete"),
    "model.embed": pass(model, "embed"),
    "runs.create": ({ run }: { run: string }) => stored.create(run),
    "runs.open": ({ run }: { run: string }) => stored.open(run),
    "runs.append": (record: RecordToKeep) => stored.append(record),
    "runs.close": ({ run }: { run: string }) => {
      stored.close(run);
    },
    "memory.put": (entry: MemoryEntry) => stored.remember(entry),
    "memory.get": ({ namespace, key }: MemoryEntry) => stored.recall(namespace, key),
    "memory.all": ({ namespace }: MemoryEntry) => stored.recallAll(namespace),
    "page.chat": pass(toPage, "chat"),
    "page.embed": pass(toPage, "embed"),
    "page.ask": pass(toPage, "ask"),
  };
}

/** A method that is another end's. */
function pass(caller: Caller, method: string) {
  return (params: unknown, { emit, signal }: CallContext): Promise<unknown> =>
    caller.call(method, params, { onEvent: emit, signal });
}

/** A method that is Python's. */
function python(method: string) {
  return async (params: unknown, { emit, signal }: CallContext): Promise<unknown> => {
    if (!engine) throw TeaError.of("NotReady", "the engine isn't started", "await initTeaLlm first");
    return await (await engine).call(method, params, { onEvent: emit, signal });
  };
}

async function fetchBytes(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) {
    throw TeaError.of("StartFailed", `${url} answered ${response.status}`, "serve the package's whole dist folder, and name it in assetsUrl");
  }
  return await response.arrayBuffer();
}

const silent = (): void => undefined;

serve(page, {
  start: async (params: StartParams) => {
    await (engine = start(params));
  },
  run: python("run"),
  resume: python("resume"),
  replay: python("replay"),
  describe: python("describe"),
  history: python("history"),
  listRuns: () => stored.list(),
  removeRun: ({ runId }: { runId: string }) => stored.remove(runId),
  forget: () => stored.forget(),
});
