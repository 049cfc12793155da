"""Hands events from the driver to whoever iterates over the run. Knows nothing of what they say.

The driver works through plain nodes without ever suspending, which is what makes them cheap. ``breathe`` is where it
lets the reader catch up: when many events wait, or when some milliseconds have passed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from the_edge_agent.engine.events import Event

#: So many events may wait before the driver waits for the reader.
ROOM = 64
#: And so long may the driver work without letting the reader see.
QUIET_S = 0.004


class Feed:
    """A queue of events for one writer side and one reader, inside one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: deque[Event] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._closed = False
        self._breathed_s = self._loop.time()

    def put(self, event: Event) -> None:
        """Add an event; never waits."""
        self._events.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def close(self) -> None:
        """No more events will come."""
        self._closed = True
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def breathe(self) -> None:
        """Let the reader (and everybody else on the loop) run, if it is time to."""
        if len(self._events) >= ROOM:
            if self._room is None:
                self._room = self._loop.create_future()
            # Shielded: many branches wait here, and cancelling one must not cancel what the others wait for.
            await asyncio.shield(self._room)
            self._breathed_s = self._loop.time()
        elif self._loop.time() - self._breathed_s > QUIET_S:
            await asyncio.sleep(0)
            self._breathed_s = self._loop.time()

    async def events(self) -> AsyncIterator[Event]:
        """Every event, until the feed is closed and empty."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._room is not None:
                self._room.set_result(None)
                self._room = None
            if self._closed:
                return
            self._reader = self._loop.create_future()
            await self._reader
            self._reader = None
