"""A moment until which a request may wait, wherever it is then. Knows nothing of what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Self, TypeVar

from the_edge_agent.errors import BackendTimeout

T = TypeVar("T")
MAX_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """``at_s`` is a moment of the event loop's clock."""

    at_s: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """So many seconds from now, a day at most."""
        return cls(asyncio.get_running_loop().time() + min(seconds, MAX_S))

    async def until(self, work: Awaitable[T]) -> T:
        """The work's result. Raises BackendTimeout once the moment has come; the work is cancelled then."""
        try:
            async with asyncio.timeout_at(self.at_s):
                return await work
        except TimeoutError:
            raise BackendTimeout(
                "the deadline of the request passed", place="runtime", fix="give it more deadline_s"
            ) from None
