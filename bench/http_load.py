"""Clients of an OpenAI-compatible server that cost little themselves: bare sockets, streams read as bytes.

A client library's own work (a millisecond and more a request) would be counted as the server's. Knows nothing of who answers.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

CONTENT = (b'"content":"', b'"content": "')
EMPTY = (b'"content":""', b'"content": ""')


@dataclass(frozen=True, slots=True)
class Heard:
    """One streamed answer: seconds to its first text, and to its end; completion tokens by the server's own count."""

    first_s: float
    whole_s: float
    tokens: int


class Client:
    """One kept-alive connection. Use it in ``async with``."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._closes = False

    async def __aenter__(self) -> Self:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self._writer.close()

    async def stream(self, text: str, **fields: Any) -> Heard:
        """A chat completion, streamed. Raises RuntimeError for whatever is no whole answer."""
        body = json.dumps(
            {
                "messages": [{"role": "user", "content": text}],
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
                **fields,
            }
        ).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        began_s = time.perf_counter()
        if (
            self._reader.at_eof() or self._closes
        ):  # the server keeps no connection alive: a new one is part of its time
            self._writer.close()
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._writer.write(head.encode() + body)
        heard, first_s, renewed = b"", 0.0, False
        while b"\r\n0\r\n\r\n" not in heard[-16:]:
            data = await self._reader.read(1 << 16)
            if not data and not heard and not renewed:  # it closed the connection while we wrote
                renewed = True
                self._writer.close()
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
                self._writer.write(head.encode() + body)
                continue
            if not data:
                raise RuntimeError(f"the server hung up: {heard[-500:]!r}")
            heard += data
            if not first_s and _has_text(heard):
                first_s = time.perf_counter() - began_s
            if b"\r\n\r\n" in heard and not heard.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(repr(heard[:2000]))
        whole_s = time.perf_counter() - began_s
        self._closes = b"connection: close" in heard.partition(b"\r\n\r\n")[0].lower()
        if b"data: [DONE]" not in heard:
            raise RuntimeError(f"the answer has no end: {heard[-500:]!r}")
        return Heard(first_s or whole_s, whole_s, _completion_tokens(heard))


def _has_text(heard: bytes) -> bool:
    found = sum(heard.count(mark) for mark in CONTENT)
    return found > sum(heard.count(mark) for mark in EMPTY)


def _completion_tokens(heard: bytes) -> int:
    _, _, rest = heard.rpartition(b'"completion_tokens":')
    return int(rest.lstrip()[:10].partition(b",")[0].partition(b"}")[0])


async def first_token_s(url: str, texts: list[str], **fields: Any) -> list[float]:
    """Seconds to the first text of each, one after the other on one connection."""
    async with Client(url) as client:
        return [(await client.stream(text, max_tokens=2, **fields)).first_s for text in texts]


async def tokens_per_s(url: str, clients: int, seconds: float, n_tokens: int) -> float:
    """Tokens a second that so many clients get together, each asking again as soon as it is answered."""
    until_s = time.perf_counter() + seconds
    began_s = time.perf_counter()
    tokens = 0

    async def ask(number: int) -> None:
        nonlocal tokens
        turn = 0
        async with Client(url) as client:
            while time.perf_counter() < until_s:
                turn += 1
                text = f"Tell me about number {number * 1000 + turn}."
                heard = await client.stream(text, max_tokens=n_tokens, ignore_eos=True)
                tokens += heard.tokens

    await asyncio.gather(*(ask(number) for number in range(clients)))
    return tokens / (time.perf_counter() - began_s)


def median(spans: list[float]) -> float:
    """The p50."""
    return statistics.median(spans)
