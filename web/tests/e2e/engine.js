// The package's whole API in a real browser: model, chat, embeddings, agents, what is kept, and what goes wrong.
/* global AbortController, AbortSignal, setTimeout */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { serve } from "../server.js";
import { main, openBrowser, scenario, web } from "./browser.js";

const MODEL = readFileSync(join(web, "../src/the_edge_agent/store/embedded/tiny.gguf"));
const PAGE = `<!doctype html><meta charset="utf-8"><title>engine</title><script type="module">
window.tea = await import("/dist/index.js");
window.caught = async (act) => { try { return { value: await act() }; } catch (error) { return { name: error.name, message: error.message }; } };
window.ready = true;
</script>`;
const GREET = "name: greet\nnodes:\n  - name: say\n    uses: llm.call\n    with: {prompt: Hello!}\n    output: said\n";
const FIVE = `name: five\nnodes:\n${[1, 2, 3, 4, 5]
  .map((n) => `  - name: n${n}\n    uses: llm.call\n    with: {prompt: "What is ${n} + ${n}?"}\n    outputs: {a${n}: "{{ result.content }}"}\n`)
  .join("")}`;
const ASK = "name: ask\nnodes:\n  - {name: who, uses: human.ask, with: {prompt: \"Who are you?\"}, output: name}\n";

async function site(after, { llm = true, engine = true, ...options } = {}) {
  const server = after(await serve({ root: web, files: { "/page.html": PAGE, "/tiny.gguf": MODEL }, ...options }));
  const browser = after(await openBrowser());
  const visit = async () => {
    const page = await browser.open(`${server.url}/page.html`);
    page.setDefaultTimeout(200_000);
    await page.waitForFunction("window.ready");
    await page.evaluate(
      ({ llm, engine }) =>
        Promise.all([llm && window.tea.initLlm({ modelUrl: "/tiny.gguf" }), engine && window.tea.initTeaLlm()]),
      { llm, engine },
    );
    return page;
  };
  const left = () => assert.deepEqual(browser.strangers, [], "a request left the origin");
  return { server, browser, visit, left };
}

scenario("chat, stream and embed answer, without the engine", async ({ after }) => {
  const { visit, left } = await site(after, { engine: false });
  const page = await visit();
  const told = await page.evaluate(async () => {
    const { chat, chatStream, embed, modelInfo } = window.tea;
    const pieces = [];
    for await (const piece of chatStream([{ role: "user", content: "What is 2+2?" }])) pieces.push(piece);
    const vectors = await embed(["The phone is broken.", "My phone does not work.", "The train leaves at nine.", ""]);
    const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
    return {
      info: await modelInfo(),
      answer: await chat("What is 2+2?"),
      pieces,
      near: dot(vectors[0], vectors[1]),
      far: dot(vectors[0], vectors[2]),
      lengths: vectors.map((vector) => Math.sqrt(dot(vector, vector))),
      json: await chat("Extract name, city and age as JSON: Nina Lopez lives in Lisbon and is 34 years old.", {
        jsonSchema: {
          type: "object",
          properties: { name: { type: "string" }, city: { type: "string" }, age: { type: "integer" } },
          required: ["name", "city", "age"],
          additionalProperties: false,
        },
      }),
    };
  });
  assert.equal(told.answer.text, "2 + 2 = 4");
  assert.equal(told.answer.finishReason, "stop");
  assert.ok(told.answer.usage.promptTokens > 5);
  assert.equal(told.pieces.map((piece) => piece.text).join(""), "2 + 2 = 4");
  assert.ok(told.pieces.length > 3, "it wasn't streamed");
  assert.ok(told.near > told.far, `${told.near} is not above ${told.far}`);
  for (const length of told.lengths) assert.ok(Math.abs(length - 1) < 1e-3, String(told.lengths));
  assert.equal(told.info.name, "tea-tiny");
  assert.equal(JSON.parse(told.json.text).city, "Lisbon");
  left();
});

scenario("an aborted answer ends at once, and the model answers the next one", async ({ after }) => {
  const { visit } = await site(after, { engine: false });
  const told = await (await visit()).evaluate(async () => {
    const { chat, chatStream } = window.tea;
    const controller = new AbortController();
    const aborted = await window.caught(async () => {
      for await (const piece of chatStream("What can you do?", { signal: controller.signal })) if (piece) controller.abort();
    });
    let seen = 0;
    for await (const piece of chatStream("What can you do?")) if (piece && ++seen === 2) break;
    const before = await window.caught(() => chat("Hello!", { signal: AbortSignal.abort() }));
    return { aborted, before, seen, next: (await chat("What is 2+2?")).text };
  });
  assert.equal(told.aborted.name, "AbortError");
  assert.equal(told.before.name, "AbortError");
  assert.equal(told.seen, 2);
  assert.equal(told.next, "2 + 2 = 4");
});

scenario("a request that llama.cpp can't take is refused, and the model answers the next one", async ({ after }) => {
  const { visit } = await site(after, { engine: false });
  const told = await (await visit()).evaluate(async () => {
    const { chat } = window.tea;
    const schema = await window.caught(() => chat("Hello!", { jsonSchema: { type: "nonsense" } }));
    return { schema, next: (await chat("What is 2+2?")).text };
  });
  assert.equal(told.schema.name, "SchemaUnsupported", JSON.stringify(told.schema));
  assert.match(told.schema.message, /^jsonSchema: .*nonsense/s);
  assert.equal(told.next, "2 + 2 = 4");
});

scenario("what is wrong is said in a sentence", async ({ after }) => {
  const chunks = Array.from({ length: 10 }, (_, index) => ({ offset: index * 5e8, size: 5e8, sha256: "0".repeat(64) }));
  const claims = { schema: 1, model: "huge", version: "1", size: 5e9, sha256: "0".repeat(64), chunk_size: 5e8, chunks, files: [{ path: "huge.gguf", size: 5e9 }] };
  const { server, visit, left } = await site(after, { llm: false });
  server.state.files.set("/huge.json", JSON.stringify(claims));
  server.state.files.set("/noise.gguf", "this is no model at all");
  const page = await visit();
  const told = await page.evaluate(
    async ({ GREET }) => {
      const { chat, embed, executeLlmYaml, initLlm, initTeaLlm, resumeRun } = window.tea;
      const say = window.caught;
      const found = {
        noModel: await say(() => chat("Hello!")),
        noModelInRun: await say(() => executeLlmYaml(GREET)),
        nothingNamed: await say(() => initLlm({})),
        absent: await say(() => initLlm({ modelUrl: "/absent.gguf" })),
        noise: await say(() => initLlm({ modelUrl: "/noise.gguf" })),
        huge: await say(() => initLlm({ manifest: "/huge.json" })),
        noHandler: await say(() => initTeaLlm({}, "not a function")),
      };
      await initTeaLlm();
      found.memory = await say(() => initLlm({ modelUrl: "/tiny.gguf", nCtx: 2_000_000 }));
      await initLlm({ modelUrl: "/tiny.gguf" });
      found.temperature = await say(() => chat("Hello!", { temperature: -1 }));
      found.option = await say(() => chat("Hello!", { temprature: 1 }));
      found.role = await say(() => chat([{ role: "boss", content: "Hello!" }]));
      found.text = await say(() => embed([1]));
      found.empty = await say(() => executeLlmYaml("  "));
      found.yaml = await say(() => executeLlmYaml("nodes:\n  - {name: a, uses: llm.cal}\n  - name: [b\n"));
      found.agent = await say(() => executeLlmYaml("name: a\nnodes:\n  - {name: a, uses: llm.cal, with: {prompt: hi}}\n"));
      found.input = await say(() => executeLlmYaml(GREET, [1]));
      found.tooLong = await say(() => chat("word ".repeat(5000)));
      found.tooLongInRun = await say(() => executeLlmYaml(GREET.replace("Hello!", '"{{ state.long }}"'), { long: "word ".repeat(5000) }));
      found.api = await say(() => executeLlmYaml(GREET.replace("{prompt", "{backend: api, prompt")));
      found.model = await say(() => executeLlmYaml(GREET.replace("{prompt", "{model: gemma, prompt")));
      found.code = await say(() => executeLlmYaml("name: c\nnodes:\n  - name: x\n    run: |\n      return {}\n"));
      found.net = await say(() => executeLlmYaml("name: c\nnodes:\n  - {name: x, uses: http.get, with: {url: 'https://example.com/'}}\n"));
      found.unknown = await say(() => resumeRun("nobody"));
      found.still = (await chat("What is 2+2?")).text;
      return found;
    },
    { GREET },
  );
  const expected = {
    noModel: ["NotReady", /no model is loaded; call initLlm first/],
    noModelInRun: ["NotReady", /no model is loaded; call initLlm first/],
    nothingNamed: ["BadParameters", /no model is named; give modelUrl/],
    absent: ["DownloadFailed", /404/],
    noise: ["ModelLoadFailed", /no usable GGUF/],
    huge: ["ModelTooLarge", /5\.00 GB, and a tab's memory ends at 4 GB/],
    noHandler: ["NoHandler", /handler is no function/],
    memory: ["OutOfMemory", /ask for a smaller nCtx, at most \d+/],
    temperature: ["BadParameters", /^temperature: it is -1; give a number from 0 to 100$/],
    option: ["BadParameters", /^temprature: there is no such option/],
    role: ["BadParameters", /^messages\[0\]\.role: it is "boss"; give one of system, user/],
    text: ["BadParameters", /^texts\[0\]: it is 1/],
    empty: ["BadParameters", /^yaml: it is empty/],
    yaml: ["WorkflowInvalid", /^agent\.yaml:\d+:\d+: /],
    agent: ["WorkflowInvalid", /agent\.yaml:3:\d+: unknown action 'llm\.cal'; did you mean 'llm\.call'/],
    input: ["BadParameters", /^state: it is a list/],
    tooLong: ["ContextLengthExceeded", /the prompt has \d+ tokens and the context 2048; shorten the prompt/],
    tooLongInRun: ["ContextLengthExceeded", /the prompt has \d+ tokens and the context 2048/],
    api: ["BackendUnavailable", /a browser tab has no backend 'api'/],
    model: ["ModelNotFound", /asks for the model 'gemma', and 'tea-tiny' is loaded/],
    code: ["WorkflowInvalid", /code/],
    net: ["PermissionDenied", /example\.com/],
    unknown: ["RunNotFound", /no run nobody is kept in this browser/],
  };
  for (const [key, [name, message]] of Object.entries(expected)) {
    assert.equal(told[key].name, name, `${key}: ${JSON.stringify(told[key])}`);
    assert.match(told[key].message, message, key);
  }
  assert.equal(told.still, "2 + 2 = 4");
  left();
});

scenario("a handler of the page answers the agents", async ({ after }) => {
  const { visit } = await site(after, { llm: false, engine: false });
  const told = await (await visit()).evaluate(
    async ({ GREET }) => {
      const { executeLlmYaml, initTeaLlm } = window.tea;
      await initTeaLlm({}, ({ messages }) => `You said ${messages.at(-1).content}`);
      const whole = await executeLlmYaml(GREET);
      const tokens = [];
      await initTeaLlm({}, async function* ({ messages }) {
        for (const word of messages.at(-1).content.split(/(?=!)/)) yield word;
      });
      const pieces = await executeLlmYaml(GREET, {}, { watchTokens: true, onEvent: (e) => e.type === "token" && tokens.push(e.text) });
      await initTeaLlm({}, () => 42);
      const wrong = await window.caught(() => executeLlmYaml(GREET));
      return { whole: whole.state.said.content, pieces: pieces.state.said.content, tokens, wrong };
    },
    { GREET },
  );
  assert.equal(told.whole, "You said Hello!");
  assert.equal(told.pieces, "Hello!");
  assert.deepEqual(told.tokens, ["Hello", "!"]);
  assert.equal(told.wrong.name, "NoHandler");
  assert.match(told.wrong.message, /gave number instead of a text/);
});

scenario("a closed tab's run goes on in another one, and no committed node runs again", async ({ after }) => {
  const { visit, left } = await site(after);
  const first = await visit();
  await first.evaluate(
    ({ FIVE }) => {
      window.seen = [];
      window.tea.executeLlmYaml(FIVE, {}, { runId: "five-1", onEvent: (event) => window.seen.push(event) }).catch(() => undefined);
    },
    { FIVE },
  );
  const second = await visit();
  await first.waitForFunction(() => window.seen.some((event) => event.type === "node_started" && event.node === "n3"));
  const busy = await second.evaluate(() => window.caught(() => window.tea.resumeRun("five-1")));
  const listed = await second.evaluate(() => window.tea.listRuns());
  if (!(await first.evaluate(() => window.seen.some((event) => event.type === "finished")))) {
    assert.equal(busy.name, "RunBusy", JSON.stringify(busy));
    assert.equal(listed[0].status, "running");
  }
  const seen = await first.evaluate(() => window.seen);
  await first.close({ runBeforeUnload: false });
  const told = await second.evaluate(async () => {
    const { listRuns, replayRun, resumeRun, runHistory } = window.tea;
    const history = await runHistory("five-1");
    const events = [];
    const result = await resumeRun("five-1", { onEvent: (event) => events.push(event) });
    const replayed = await replayRun("five-1");
    return { history, events, result, replayed, after: (await listRuns())[0] };
  });
  const committed = seen.filter((event) => event.type === "node_finished").map((event) => event.node);
  const fromLog = told.events.filter((event) => event.type === "node_finished" && event.from_log).map((event) => event.node);
  for (const node of committed) assert.ok(fromLog.includes(node), `${node} ran again`);
  assert.equal(told.history.workflow, "five");
  assert.equal(told.result.status, "finished");
  assert.equal(told.result.state.a2, "2 + 2 = 4");
  assert.deepEqual(told.replayed.state, told.result.state);
  assert.equal(told.after.status, "finished");
  left();
});

scenario("an aborted run can be resumed", async ({ after }) => {
  const { visit } = await site(after);
  const told = await (await visit()).evaluate(
    async ({ FIVE }) => {
      const { executeLlmYaml, listRuns, removeRun, resumeRun } = window.tea;
      const controller = new AbortController();
      const onEvent = (event) => event.type === "node_finished" && event.node === "n2" && controller.abort();
      const aborted = await window.caught(() => executeLlmYaml(FIVE, {}, { runId: "five-2", signal: controller.signal, onEvent }));
      let status;
      for (let turn = 0; turn < 200; turn++) {
        status = (await listRuns())[0].status;
        if (status !== "running") break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const { state } = await resumeRun("five-2");
      await removeRun("five-2");
      const forgotten = await executeLlmYaml(FIVE, {}, { keep: false });
      return { aborted, status, state, forgotten: forgotten.state, left: await listRuns() };
    },
    { FIVE },
  );
  assert.equal(told.aborted.name, "AbortError");
  assert.equal(told.status, "stopped");
  assert.deepEqual(told.state, told.forgotten);
  assert.deepEqual(told.left, []);
});

scenario("a question stops a run, or is asked on the page", async ({ after }) => {
  const { visit } = await site(after, { llm: false });
  const told = await (await visit()).evaluate(
    async ({ ASK }) => {
      const { executeLlmYaml, resumeRun } = window.tea;
      const asked = [];
      const onQuestion = (question) => (asked.push(question.prompt), "Ann");
      const answered = await executeLlmYaml(ASK, {}, { onQuestion });
      const stopped = await executeLlmYaml(ASK, {}, { runId: "ask-1" });
      const resumed = await resumeRun("ask-1", { answer: "Bob" });
      const taken = await window.caught(() => executeLlmYaml(ASK, {}, { runId: "ask-1" }));
      return { asked, answered, stopped, resumed, taken };
    },
    { ASK },
  );
  assert.deepEqual(told.asked, ["Who are you?"]);
  assert.equal(told.answered.state.name, "Ann");
  assert.equal(told.stopped.status, "interrupted");
  assert.equal(told.stopped.question.prompt, "Who are you?");
  assert.equal(told.resumed.state.name, "Bob");
  assert.equal(told.taken.name, "RunIdTaken");
});

scenario("an agent is described, and its secrets and code stay what they are", async ({ after }) => {
  const { visit } = await site(after, { llm: false });
  const told = await (await visit()).evaluate(
    async ({ FIVE }) => {
      const { describeYaml, executeLlmYaml } = window.tea;
      const events = [];
      const code = "name: c\nnodes:\n  - name: x\n    run: |\n      return {'n': state['n'] + 1}\n";
      const secret = "name: s\nnodes:\n  - {name: x, run: {type: expression, value: \"'key ' ~ secrets.KEY\", output_key: said}}\n";
      return {
        graph: await describeYaml(FIVE),
        code: (await executeLlmYaml(code, { n: 1 }, { allowCode: true })).state,
        secret: (await executeLlmYaml(secret, {}, { secrets: { KEY: "abcdef123456" }, onEvent: (e) => events.push(e) })).state,
        leaked: JSON.stringify(events).includes("abcdef123456"),
      };
    },
    { FIVE },
  );
  assert.equal(told.graph.nodes.length, 5);
  assert.equal(told.code.n, 2);
  assert.doesNotMatch(told.secret.said, /abcdef/);
  assert.equal(told.leaked, false);
});

scenario("a server without engine.snapshot.gz starts the engine from its sources", async ({ after }) => {
  const { visit } = await site(after, { llm: false, fault: ({ path }) => (path.endsWith(".snapshot.gz") ? { status: 404 } : undefined) });
  const state = await (await visit()).evaluate(
    async () => (await window.tea.executeLlmYaml("name: a\nnodes:\n  - {name: x, run: {type: expression, value: 1 + 1, output_key: n}}\n")).state,
  );
  assert.equal(state.n, 2);
});

await main();
