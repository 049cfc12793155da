"""A bounded position in a file that nobody trusts: every read is checked against what is there before it happens.

Reads through a small window instead of mapping the file, so that a file cut short while it is read is an error and not
a crash. Knows little-endian numbers and length-prefixed strings, nothing of GGUF's structure.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol

from the_edge_agent.errors import GgufInvalid
from the_edge_agent.gguf.positioned import read_at

WINDOW_BYTES = 256 * 1024

_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from


class ByteSource(Protocol):
    """Bytes by position. ``name`` is what errors call it."""

    name: str
    size_bytes: int

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """Up to ``size_bytes`` bytes from ``offset``; fewer only at the end."""
        ...


class MemorySource:
    """A file's beginning held in memory; ``size_bytes`` may say that the whole is longer."""

    def __init__(self, data: bytes, *, name: str = "<bytes>", size_bytes: int | None = None) -> None:
        self.name = name
        self.size_bytes = len(data) if size_bytes is None else size_bytes
        self._data = data

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """Up to ``size_bytes`` bytes from ``offset``."""
        return self._data[offset : offset + size_bytes]


class FileSource:
    """An open regular file."""

    def __init__(self, descriptor: int, *, name: str, size_bytes: int) -> None:
        self.name = name
        self.size_bytes = size_bytes
        self._descriptor = descriptor

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """Up to ``size_bytes`` bytes from ``offset``."""
        return read_at(self._descriptor, size_bytes, offset)


@contextmanager
def open_source(path: Path) -> Generator[FileSource]:
    """Open ``path`` for reading by position.

    Raises GgufInvalid where it is no regular file (a pipe or a device could hang the reader), OSError where it can't be
    opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise GgufInvalid(
                "it is not a regular file", place=str(path), fix="give the path of a .gguf file"
            )
        yield FileSource(descriptor, name=str(path), size_bytes=facts.st_size)
    finally:
        os.close(descriptor)


class Cursor:
    """A reading position from 0 to ``limit``; past it every read raises GgufInvalid at the offset that asked."""

    def __init__(self, source: ByteSource, *, limit: int) -> None:
        self.source = source
        self.limit = min(limit, source.size_bytes)
        self.offset = 0
        self._window = b""
        self._window_start = 0

    @property
    def remaining(self) -> int:
        """Bytes between here and the limit."""
        return self.limit - self.offset

    def fail(self, what: str, *, offset: int | None = None) -> NoReturn:
        """Raise GgufInvalid at ``offset`` (default: here)."""
        at = self.offset if offset is None else offset
        raise GgufInvalid(
            f"{what} (at byte {at})",
            place=self.source.name,
            fix="fetch the file again, or use another one",
            offset=at,
        )

    def need(self, size_bytes: int, what: str) -> None:
        """Refuse a length that reaches past the end."""
        if size_bytes > self.remaining:
            past = (
                "the end of the file"
                if self.limit == self.source.size_bytes
                else "the longest header allowed"
            )
            self.fail(f"{what} needs {size_bytes} bytes and {self.remaining} are left before {past}")

    def skip(self, size_bytes: int, what: str) -> None:
        """Step over bytes that must be there."""
        self.need(size_bytes, what)
        self.offset += size_bytes

    def window(self, size_bytes: int) -> tuple[bytes, int]:
        """A buffer and an index into it at which at least ``size_bytes`` bytes stand (fewer only at the end)."""
        index = self.offset - self._window_start
        if index < 0 or index + size_bytes > len(self._window):
            self._window = self.source.read_at(
                self.offset, min(max(size_bytes, WINDOW_BYTES), self.remaining)
            )
            self._window_start = self.offset
            index = 0
        return self._window, index

    def take(self, size_bytes: int, what: str) -> bytes:
        """The next ``size_bytes`` bytes."""
        self.need(size_bytes, what)
        buffer, index = self.window(size_bytes)
        data = buffer[index : index + size_bytes]
        if len(data) != size_bytes:
            self.fail(f"{what} is cut off: the file became shorter while it was read")
        self.offset += size_bytes
        return data

    def u32(self, what: str) -> int:
        """The next unsigned 32-bit number."""
        return _U32(self.take(4, what))[0]

    def u64(self, what: str) -> int:
        """The next unsigned 64-bit number."""
        return _U64(self.take(8, what))[0]

    def name(self, what: str, most_bytes: int) -> str:
        """A key or a tensor name: 1 to ``most_bytes`` bytes of UTF-8 without NUL."""
        start = self.offset
        size_bytes = self.u64(what)
        if not 0 < size_bytes <= most_bytes:
            self.fail(f"{what} is {size_bytes} bytes long, and 1 to {most_bytes} are allowed", offset=start)
        raw = self.take(size_bytes, what)
        if b"\0" in raw:
            self.fail(f"{what} holds a NUL byte", offset=start + 8 + raw.index(b"\0"))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fail(f"{what} is not UTF-8", offset=start + 8 + error.start)
