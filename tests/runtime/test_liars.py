"""Workers that lie: whatever they send, the daemon neither fails nor believes it, and an honest one loses nothing."""

import asyncio
import contextlib
import os
import sys

import pytest

from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.inference import ChatRequest, EmbedRequest, Message, collect
from the_edge_agent.runtime.config import WorkersConfig
from the_edge_agent.runtime.frames import encode_frame
from the_edge_agent.runtime.worker_process import WorkerGone, WorkerProcess
from the_edge_agent.runtime.worker_spec import WorkerSpec

TIMING = WorkersConfig(load_timeout_s=20, ping_s=0.1, ping_timeout_s=1.0, stall_s=60, kill_s=1.0)
#: A worker of twenty lines: ready at once, answers pings, and says to every request what it was told to say.
LIAR = r"""
import json, socket, sys, time
connection = socket.socket(fileno=int(sys.argv[1]))
def frame(*messages):
    body = json.dumps(messages).encode()
    return len(body).to_bytes(4, "big") + body
def take(count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part: sys.exit()
        data += part
    return data
while True:
    for message in json.loads(take(int.from_bytes(take(4), "big"))):
        if message[0] == "open":
            lie, cut = bytes.fromhex(message[1]["options"]["lie"]), message[1]["options"]["cut"]
            info = {"backend": "local", "model": "liar", "n_ctx": 0, "leaves_machine": False, "features": []}
            connection.sendall(frame(["ready", info]))
        if message[0] == "ping": connection.sendall(frame(["pong", message[1], message[1]]))
        if message[0] in ("chat", "embed", "count"):
            for start in range(0, len(lie), cut):
                connection.sendall(lie[start:start + cut])
                if cut < len(lie): time.sleep(0.0005)
"""
ASKED = ChatRequest((Message("user", "Hi"),))
LAST = ["chunk", 1, {"finish_reason": "stop", "usage": [1, 1, 0]}]
END = ["end", 1]


def start(lie, cut=1 << 20):
    command = (sys.executable, "-P", "-c", LIAR)
    options = {"lie": lie.hex(), "cut": cut}
    return WorkerProcess.start(WorkerSpec("liar", "m", options, command), TIMING, dict(os.environ))


def said(*messages):
    return encode_frame([list(message) for message in messages])


async def test_characters_cut_anywhere_arrive_whole():
    text = "gr\u00fc\u00df \u20ac \U0001f600 \ud83d"
    lie = said(["text", 1, text, [1, 2, 3]], LAST, END)
    async with await start(lie, cut=1) as worker:
        assert (await collect(worker.chat(ASKED))).text == text


async def test_what_is_said_to_nobody_harms_nobody():
    lie = said(["text", 99, "x", [1]], ["end", 77], ["error", 55, {}], ["text", 1, "yes", [1]], LAST, END)
    async with await start(lie) as worker:
        assert (await collect(worker.chat(ASKED))).text == "yes"


LIES = {
    "no end marker": said(["text", 1, "x", [1]], END),
    "half JSON": (9).to_bytes(4, "big") + b'[["text",',
    "no UTF-8": (4).to_bytes(4, "big") + b'["\xff"',
    "a frame of 4 GB": b"\xff\xff\xff\xff",
    "no array": said() + (2).to_bytes(4, "big") + b"{}",
    "a message that is no array": (3).to_bytes(4, "big") + b"[7]",
    "a kind that is no text": (5).to_bytes(4, "big") + b"[[7]]",
    "an unknown kind": said(["exec", "rm"]),
    "a result for a chat": said(["result", 1, 7]),
    "deep nesting": (100_000).to_bytes(4, "big") + b"[" * 100_000,
    "a pong of the future, then silence": said(["pong", 10**9, 1], ["exec"]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_worker_that_lies_is_killed_and_its_stream_hears_why(lie):
    worker = await start(lie)
    with pytest.raises(WorkerGone):
        await collect(worker.chat(ASKED))
    assert await worker.wait_gone()
    await worker.stop()


WRONG = {
    "text that is no text": said(["text", 1, 7, [1]]),
    "ids that are no list": said(["text", 1, "x", "ids"]),
    "a chunk that is no object": said(["chunk", 1, 7]),
    "usage of the wrong shape": said(["chunk", 1, {"finish_reason": "stop", "usage": ["a"]}], END),
    "an error of an unknown class": said(["error", 1, {"name": "os.system", "what": "rm"}]),
    "an error that is no object": said(["error", 1, 7]),
    "usage with a number too many": said(["chunk", 1, {"finish_reason": "stop", "usage": [1, 2, 3, 4]}], END),
    "timings that are words": said(["chunk", 1, {"finish_reason": "stop", "timings": ["a", "b", "c"]}], END),
}


@pytest.mark.parametrize("lie", WRONG.values(), ids=WRONG)
async def test_an_answer_of_the_wrong_shape_is_an_error_of_ours(lie):
    worker = await start(lie)
    with pytest.raises(EdgeAgentError):
        await collect(worker.chat(ASKED))
    await worker.stop()


@pytest.mark.parametrize("value", [7, {}, {"vectors": "x"}, {"vectors": [["a"]]}, None])
async def test_embeddings_and_counts_of_the_wrong_shape_are_errors_too(value):
    worker = await start(said(["result", 1, value]))
    with pytest.raises(EdgeAgentError):
        await worker.embed(EmbedRequest(("x",)))
    await worker.stop()


async def test_random_bytes_never_fail_the_daemon():
    import random

    fates = random.Random(5)
    good = said(["text", 1, "hello", [1]], LAST, END)

    async def one(lie):
        worker = await start(lie)
        with contextlib.suppress(EdgeAgentError):
            async with asyncio.timeout(20):
                await collect(worker.chat(ASKED))
        await worker.stop()

    for _ in range(12):
        lie = bytearray(good)
        for _ in range(fates.randrange(1, 4)):
            lie[fates.randrange(len(lie))] = fates.randrange(256)
        await one(bytes(lie + b"\xff\xff\xff\xff"))
