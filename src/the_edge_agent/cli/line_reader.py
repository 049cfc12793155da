"""Lines from stdin without blocking the event loop: branches go on while a person thinks.

Knows nothing of what the lines mean.
"""

from __future__ import annotations

import asyncio
import os

_CHUNK_BYTES = 65_536


class LineReader:
    """Reads one descriptor with a buffer of its own, so that nothing waits for bytes that are already here."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    async def read_line(self) -> str:
        """One line with its newline; the last one may lack it; empty at the end of the input."""
        while b"\n" not in self._buffer:
            chunk = await self._read()
            if not chunk:
                line, self._buffer = self._buffer, b""
                return line.decode("utf-8", "replace")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return (line + b"\n").decode("utf-8", "replace")

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except (NotImplementedError, OSError, ValueError):
            return self._read_now()  # a plain file, which is always ready, or a loop that can't watch
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)
        return self._read_now()

    def _read_now(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK_BYTES)
        except OSError:  # closed, or the terminal is gone
            return b""
