"""A real HTTP server on a real socket that answers as a test says, byte for byte."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Seen:
    path: str
    headers: dict
    body: dict


@dataclass
class FakeApi:
    """``answers`` are functions of a writer, or raw bytes, one a request; the last one repeats."""

    answers: list
    seen: list = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def handle(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {
                k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)
            }
            body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))))
            self.seen.append(Seen(lines[0].split()[1], headers, body))
            answer = self.answers[min(len(self.seen), len(self.answers)) - 1]
            if callable(answer):
                await answer(writer, reader)
            else:
                writer.write(answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def fake_api(*answers):
    api = FakeApi(list(answers))
    handlers = []
    server = await asyncio.start_server(
        lambda r, w: handlers.append(asyncio.ensure_future(api.handle(r, w))), "127.0.0.1", 0
    )
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield api
    finally:
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


def answer(status=200, headers=(), body=b"", kind="application/json"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    head = [
        f"HTTP/1.1 {status} X",
        f"content-type: {kind}",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join([*head, *(f"{k}: {v}" for k, v in headers), "", ""]).encode() + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def event(delta=None, **choice):
    return {"model": "served", "choices": [{"index": 0, "delta": delta or {}, **choice}]}


def stream(*events, done=True, ending="\n\n"):
    """The bytes of an event stream; str events go out as they are."""
    texts = [
        e if isinstance(e, str) else f"data: {json.dumps(e, ensure_ascii=False)}{ending}" for e in events
    ]
    return STREAM_HEAD + "".join(texts).encode() + (f"data: [DONE]{ending}".encode() if done else b"")


HELLO = (
    event({"role": "assistant", "content": "Hel"}),
    event({"content": "lo"}),
    event({}, finish_reason="stop"),
    {"model": "served", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
)
