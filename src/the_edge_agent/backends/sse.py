"""Server-sent events, read from bytes as they come: split anywhere, also inside a character. Pure; knows no HTTP."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

MAX_EVENT_SIZE = 16_000_000
"""Characters of one event; a server that sends more is no server."""


class SseReader:
    """Feed bytes, get the data of whole events. Comments (pings), event names and ids are passed over.

    Raises ValueError for bytes that aren't UTF-8 and for an event larger than MAX_EVENT_SIZE.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = ""
        self._data: list[str] = []
        self._size = 0
        self._after_return = False

    def feed(self, data: bytes) -> Iterator[str]:
        """The data of every event that these bytes complete."""
        text = self._decoder.decode(data)
        if self._after_return and text.startswith("\n"):  # a CRLF that was split
            text = text[1:]
        if text:
            self._after_return = text.endswith("\r")
        *lines, self._rest = (self._rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            yield from self._line(line)
        if len(self._rest) + self._size > MAX_EVENT_SIZE:
            raise ValueError(f"an event of more than {MAX_EVENT_SIZE} characters")

    def _line(self, line: str) -> Iterator[str]:
        if not line:
            if self._data:
                yield "\n".join(self._data)
            self._data, self._size = [], 0
            return
        field, _, value = line.partition(":")
        if field == "data":
            value = value.removeprefix(" ")
            self._data.append(value)
            self._size += len(value)
