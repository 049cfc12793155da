"""A request's place in the daemon: where it hears that it is admitted (again) or refused. Knows nothing of the rules."""

from __future__ import annotations

import asyncio

from the_edge_agent.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    EdgeAgentError,
    OutOfMemory,
    RateLimited,
)
from the_edge_agent.runtime.schedule import Refuse
from the_edge_agent.runtime.worker_process import WorkerProcess


class Ticket:
    """A request's place: what the scheduler says to it, in order."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._said: asyncio.Queue[WorkerProcess | EdgeAgentError] = asyncio.Queue()

    def say(self, what: WorkerProcess | EdgeAgentError) -> None:
        """Admit to that worker, or refuse with that error."""
        self._said.put_nowait(what)

    async def admission(self) -> WorkerProcess:
        """The next worker to use, or the refusal as an exception."""
        said = await self._said.get()
        if isinstance(said, EdgeAgentError):
            raise said
        return said


def error_of(refusal: Refuse) -> EdgeAgentError:
    """A refusal as the error that edges translate."""
    place = refusal.model
    match refusal.kind:
        case "queue_full":
            fix = f"try again in {refusal.retry_after_s:g} s"
            return RateLimited(refusal.what, place=place, fix=fix, retry_after_s=refusal.retry_after_s)
        case "deadline":
            return BackendTimeout(refusal.what, place=place, fix="give it more deadline_s")
        case "too_large":
            return OutOfMemory(
                refusal.what, place=place, fix="raise limits.memory_bytes, or use a smaller model"
            )
        case "failed":
            return BackendUnavailable(
                refusal.what, place=place, fix=f"`tea runtime logs {place}` shows its log"
            )
        case "unloaded":
            return BackendError(refusal.what, place=place, fix="ask again")
        case "shutting_down":
            return BackendUnavailable(refusal.what, place=place, fix="ask again when it is back")
