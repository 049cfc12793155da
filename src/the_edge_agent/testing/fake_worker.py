"""A worker process without a model, for tests of whoever supervises workers: it speaks the real protocol and fails on order.

``python -m the_edge_agent.testing.fake_worker FD PARENT``; the ``options`` of the open message say what it does (``Orders``).
It answers with ``text`` (``{prompt}`` is the last message), one character a token, ``token_s`` apart.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from the_edge_agent.backends.scripted import ScriptedBackend
from the_edge_agent.errors import ModelLoadFailed
from the_edge_agent.inference import ChatRequest, CompletionChunk
from the_edge_agent.runtime.worker import main


@dataclass(frozen=True, slots=True)
class Orders:
    """What the fake does. Token counts are of one process's whole life, so that a restarted one behaves the same."""

    text: str = "You said: {prompt}"
    token_s: float = 0.0
    load_s: float = 0.0
    n_ctx: int = 0
    refuse_to_load: str = ""
    exit_at_load: int | None = None
    exit_after_tokens: int | None = None
    hang_after_tokens: int | None = None
    """Blocks the whole process: pings aren't answered."""
    stall_after_tokens: int | None = None
    """Healthy but silent: pings are answered, tokens don't come."""
    lie_after_tokens: int | None = None
    """Sends bytes that are no frame."""
    ballast_bytes: int = 0
    leave_child: bool = False
    """Starts a grandchild that ignores SIGTERM."""
    ignore_sigterm: bool = False
    without_ids: bool = False
    """Tells text and no ids, as a server does that can't go on behind them."""
    text_after: str = ""
    """Says this instead once ``once_file`` exists."""
    once_file: str = ""
    """Faults happen only while this file doesn't exist; it is made when one happens."""


class FakeBackend(ScriptedBackend):
    """A scripted backend that takes its time and fails on order."""

    def __init__(self, orders: Orders) -> None:
        super().__init__(self._say, n_ctx=orders.n_ctx, model="fake", backend="fake")
        self._orders = orders
        self._ballast = b"x" * orders.ballast_bytes
        self._tokens = 0

    def _say(self, request: ChatRequest) -> str:
        orders = self._orders
        text = orders.text_after if orders.text_after and os.path.exists(orders.once_file) else orders.text  # noqa: PTH110
        return text.format(prompt=request.messages[-1].content)

    async def chat(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """Stream the answer, or what was ordered instead."""
        async for chunk in super().chat(request):
            await asyncio.sleep(self._orders.token_s)
            yield replace(chunk, token_ids=()) if self._orders.without_ids else chunk
            self._tokens += 1
            await self._misbehave()

    async def _misbehave(self) -> None:
        orders, count = self._orders, self._tokens
        await asyncio.sleep(0)  # so that what was said before has left
        if count == orders.exit_after_tokens and _first_time(orders):
            os._exit(7)
        if count == orders.hang_after_tokens and _first_time(orders):
            time.sleep(3600)  # noqa: ASYNC251 - that is the point
        if count == orders.stall_after_tokens and _first_time(orders):
            await asyncio.sleep(3600)
        if count == orders.lie_after_tokens and _first_time(orders):
            os.write(int(sys.argv[1]), b"\xff\xff\xff\xff half a frame")


def _first_time(orders: Orders) -> bool:
    if not orders.once_file:
        return True
    try:
        os.close(os.open(orders.once_file, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


async def open_fake(what: Mapping[str, Any]) -> FakeBackend:
    """The fake as the open message's options order it; options it doesn't know are ignored, as they are meant for others."""
    known = {entry.name for entry in fields(Orders)}
    orders = replace(Orders(), **{name: value for name, value in what["options"].items() if name in known})
    print(f"fake worker {os.getpid()} opens {what['path']}", file=sys.stderr)  # noqa: T201
    await asyncio.sleep(orders.load_s)
    if orders.ignore_sigterm:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    if orders.leave_child and os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)  # noqa: ASYNC251 - the grandchild does nothing else
    if orders.exit_at_load is not None and _first_time(orders):
        print("fake failure", file=sys.stderr)  # noqa: T201
        os._exit(orders.exit_at_load)
    if orders.refuse_to_load:
        raise ModelLoadFailed(orders.refuse_to_load, place=what["path"])
    return FakeBackend(orders)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], open_fake))
