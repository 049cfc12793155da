"""Length-framed JSON between the daemon and a worker: 4 bytes of length, then an array of messages.

Messages that are sent in one turn of the event loop leave in one frame, so a decode step over many streams costs one write
and one read. This module knows nothing of what messages mean.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

MAX_FRAME_BYTES = 64_000_000
Messages = list[list[Any]]


class FrameInvalid(Exception):
    """The other side doesn't speak the protocol."""


def encode_frame(messages: Messages) -> bytes:
    """One frame. Lone surrogates stay escapes, so any Python string survives."""
    body = json.dumps(messages, separators=(",", ":")).encode()
    return len(body).to_bytes(4, "big") + body


def take_body(received: bytearray) -> bytes | None:
    """Cut the first frame's body off, or None while it isn't whole. Raises FrameInvalid."""
    if len(received) < 4:
        return None
    size_bytes = int.from_bytes(received[:4], "big")
    if size_bytes > MAX_FRAME_BYTES:
        raise FrameInvalid(f"a frame of {size_bytes} bytes")
    if len(received) < 4 + size_bytes:
        return None
    body = bytes(received[4 : 4 + size_bytes])
    del received[: 4 + size_bytes]
    return body


def decode_body(body: bytes) -> Messages:
    """The messages of a frame's body. Raises FrameInvalid."""
    try:
        messages: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FrameInvalid(f"not JSON: {error}") from None
    if not isinstance(messages, list):
        raise FrameInvalid("a frame is an array of messages")
    for message in cast("list[Any]", messages):
        if not (isinstance(message, list) and message and isinstance(message[0], str)):
            raise FrameInvalid("a message is an array that begins with its kind")
    return cast("Messages", messages)


class FrameChannel(asyncio.Protocol):
    """One end of the connection. ``on_message`` gets each message, ``on_lost`` the reason once, when it is over."""

    def __init__(self, on_message: Callable[[list[Any]], None], on_lost: Callable[[str], None]) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._outbox: Messages = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._over = False

    @property
    def is_over(self) -> bool:
        """Whether the connection is gone."""
        return self._over

    def send(self, *message: Any) -> None:
        """Queue a message for this turn's frame. Dropped where the connection is over: ``on_lost`` told that."""
        if not self._outbox and not self._over:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(list(message))

    async def writable(self) -> None:
        """Wait until the other side keeps up."""
        await self._writable.wait()

    def close(self) -> None:
        """End the connection from this side."""
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio calls this."""
        self._received += data
        try:
            while (body := take_body(self._received)) is not None:
                for message in decode_body(body):
                    self._on_message(message)
        except FrameInvalid as error:
            self._lose(f"it broke the protocol: {error}")
            if self._transport is not None:
                self._transport.abort()

    def eof_received(self) -> bool:
        """Asyncio calls this."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio calls this."""
        self._lose(f"the connection broke: {exc}" if exc else "the connection was closed")

    def pause_writing(self) -> None:
        """Asyncio calls this."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Asyncio calls this."""
        self._writable.set()

    def _flush(self) -> None:
        if self._outbox and self._transport is not None and not self._over:
            self._transport.write(encode_frame(self._outbox))
        self._outbox = []

    def _lose(self, why: str) -> None:
        if not self._over:
            self._over = True
            self._writable.set()
            self._on_lost(why)
