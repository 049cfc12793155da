"""The other side of the border in Python: keeps runs and memory as IndexedDB would, answers as a model would."""

import asyncio
import json

from the_edge_agent.browser.boot import boot
from the_edge_agent.browser.border import to_wire
from the_edge_agent.errors import RunIdTaken, RunNotFound

INFO = {
    "name": "tea-tiny",
    "architecture": "llama",
    "nCtx": 2048,
    "addBos": False,
    "bosToken": "<|endoftext|>",
    "eosToken": "<|im_end|>",
    "controlTokens": ["<|im_start|>", "<|im_end|>"],
    "chatTemplate": "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:",
}


class Host:
    """A tab around the engine. ``answers`` are what the model says, one a completion; ``delay_s`` is what a commit takes."""

    def __init__(self, answers=(), *, info=INFO, delay_s=0.0, has_handler=False, full_after=None):
        self.info = info
        self.answers = list(answers)
        self.bodies = []
        self.runs = {}
        self.memory = {}
        self.committed_when_asked = []
        self.cancelled = []
        self.full_after = full_after
        self._delay_s = delay_s
        self._has_handler = has_handler
        self._waiting = {}
        self._tasks = set()
        self._next = 0

    def start(self):
        self._receive = boot(self._post, has_handler=self._has_handler)
        return self

    async def call(self, method, **params):
        """A call of the page; returns (events, result) or raises AssertionError with the wire's error."""
        number = self._next = self._next + 1
        events, done = [], asyncio.get_running_loop().create_future()
        self._waiting[number] = (events, done)
        self._receive(json.dumps({"kind": "call", "id": number, "method": method, "params": params}))
        return events, await done

    def cancel(self):
        self._receive(json.dumps({"kind": "cancel", "id": self._next}))

    def _post(self, text):
        message = json.loads(text)
        kind, number = message["kind"], message["id"]
        if kind == "call":
            task = asyncio.ensure_future(self._answer(number, message["method"], message["params"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif kind == "cancel":
            self.cancelled.append(number)
        elif kind == "event":
            self._waiting[number][0].append(message["event"])
        elif kind == "result":
            self._waiting[number][1].set_result(message["value"])
        else:
            self._waiting[number][1].set_exception(WireError(message["error"]))

    async def _answer(self, number, method, params):
        def emit(event):
            self._receive(json.dumps({"kind": "event", "id": number, "event": event}))

        try:
            value = await getattr(self, method.replace(".", "_"))(params, emit)
            answer = {"kind": "result", "id": number, "value": value}
        except Exception as error:
            answer = {"kind": "failure", "id": number, "error": to_wire(error)}
        self._receive(json.dumps(answer))

    async def model_info(self, _params, _emit):
        return self.info

    async def model_complete(self, body, emit):
        self.bodies.append(body)
        self.committed_when_asked.append({run: len(lines) for run, lines in self.runs.items()})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        for piece in answer[:-1]:
            emit({"text": piece, "finishReason": None})
        usage = {"promptTokens": 7, "completionTokens": len(answer) + 1, "cachedTokens": 0}
        emit({"text": answer[-1], "finishReason": "stop", "usage": usage})

    async def model_embed(self, params, _emit):
        return {"values": [float(len(params["text"])), 1.0], "tokens": 3}

    async def runs_create(self, params, _emit):
        if params["run"] in self.runs:
            raise RunIdTaken("it exists")
        self.runs[params["run"]] = []

    async def runs_open(self, params, _emit):
        if params["run"] not in self.runs:
            raise RunNotFound("it doesn't exist")
        return list(self.runs[params["run"]])

    async def runs_append(self, params, _emit):
        await asyncio.sleep(self._delay_s)
        lines = self.runs[params["run"]]
        if self.full_after is not None and len(lines) >= self.full_after:
            raise OSError("no room")
        assert params["number"] == len(lines) + 1
        lines.append(params["line"])

    async def runs_close(self, _params, _emit):
        return None

    async def memory_put(self, entry, _emit):
        self.memory[entry["namespace"], entry["key"]] = entry

    async def memory_get(self, params, _emit):
        return self.memory.get((params["namespace"], params["key"]))

    async def memory_all(self, params, _emit):
        return [entry for (namespace, _), entry in self.memory.items() if namespace == params["namespace"]]

    async def page_chat(self, body, emit):
        emit({"text": f"heard {body['messages'][-1]['content']}"})

    async def page_ask(self, params, _emit):
        return f"answer to {params['question']['prompt']}"


class WireError(AssertionError):
    """An error as the page gets it."""

    def __init__(self, wire):
        super().__init__(wire["message"])
        self.name = wire["name"]
