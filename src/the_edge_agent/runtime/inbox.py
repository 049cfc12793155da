"""What a worker said to one stream and the stream hasn't read yet: a queue with one reader that may take several at once."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Inbox:
    """Unbounded: an answer is bounded by its context, and a slow reader must not hold a slot."""

    def __init__(self) -> None:
        self._messages: deque[list[Any]] = deque()
        self._reader: asyncio.Future[None] | None = None

    def put(self, message: list[Any]) -> None:
        """Add a message and wake the reader."""
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> list[Any]:
        """The next message."""
        while not self._messages:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._messages.popleft()

    def get_same(self, kind: str) -> list[list[Any]]:
        """Those of this kind that stand in front now, without waiting."""
        taken: list[list[Any]] = []
        while self._messages and self._messages[0][0] == kind:
            taken.append(self._messages.popleft())
        return taken
