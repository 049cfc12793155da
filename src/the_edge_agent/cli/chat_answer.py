"""One answer in ``tea chat``: streamed as it comes, stopped by Ctrl-C, added up. Knows nothing of the conversation."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

from the_edge_agent.cli.chat_session import AnswerStats
from the_edge_agent.cli.closing import closing
from the_edge_agent.cli.console import Console
from the_edge_agent.cli.terminal import visible
from the_edge_agent.inference import Backend, ChatRequest, Completion, CompletionChunk, Usage


class AnswerStream:
    """One answer as it comes in: written at once, and added up."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._asked_s = time.monotonic()
        self._first_s: float | None = None
        self._ended_s: float | None = None
        self._parts: list[str] = []
        self._last = CompletionChunk()
        self._waiting = contextlib.ExitStack()
        self.notices: list[str] = []

    async def follow(self, backend: Backend, request: ChatRequest) -> None:
        """Ask, and write what comes. Raises what the backend raises."""
        self._waiting.enter_context(self._console.status("Thinking"))
        async with closing(backend.chat(request)) as chunks:
            async for chunk in chunks:
                self._take(chunk)
        self._ended_s = time.monotonic()

    def _take(self, chunk: CompletionChunk) -> None:
        self.notices += chunk.notices
        if chunk.text:
            self._waiting.close()
            if self._first_s is None:
                self._first_s = time.monotonic()
            self._parts.append(chunk.text)
            self._console.out(visible(chunk.text) if self._console.is_terminal else chunk.text, end="")
        self._last = chunk

    def end_line(self) -> None:
        """The answer stands on lines of its own, whether it ended or was stopped."""
        self._waiting.close()
        if self._parts and not self._parts[-1].endswith("\n"):
            self._console.out()

    def completion(self) -> Completion:
        """The answer as far as it came."""
        return Completion(
            text="".join(self._parts),
            finish_reason=self._last.finish_reason or "cancelled",
            usage=self._last.usage or Usage(completion_tokens=len(self._parts)),
        )

    def stats(self) -> AnswerStats:
        """What it cost."""
        return AnswerStats(
            usage=self.completion().usage,
            first_token_s=None if self._first_s is None else self._first_s - self._asked_s,
            total_s=(self._ended_s or time.monotonic()) - self._asked_s,
            n_ctx=self._last.n_ctx,
        )


def cancelling(task: asyncio.Task[Any]) -> Callable[[int, FrameType | None], None]:
    """A signal handler that stops this task and nothing else."""

    def cancel(_signum: int, _frame: FrameType | None) -> None:
        task.get_loop().call_soon_threadsafe(task.cancel)

    return cancel


@contextlib.contextmanager
def ctrl_c(handler: Any) -> Generator[None]:
    """Let Ctrl-C mean something else for a while."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
