"""A run's log in the browser: in memory for reading, written behind to IndexedDB, with a barrier where it matters.

``append`` can't wait (a run log's commits are synchronous), so records go out in order and ``settled`` waits for them:
whoever acts on the world for the run asks that first. So no model is asked and nothing is sent before what led to it is
kept. Without a host nothing is kept beyond this session.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from the_edge_agent.browser.border import Border
from the_edge_agent.errors import EdgeAgentError, RunError
from the_edge_agent.inference import JsonObject


class KeptRun:
    """The RunLog of one run. Made by ``create_run`` and ``open_run``."""

    def __init__(self, border: Border | None, run_id: str, lines: Sequence[str] = ()) -> None:
        self._border = border
        self._run_id = run_id
        self._lines = list(lines)
        self._on_the_way: set[asyncio.Task[Any]] = set()
        self._failure: EdgeAgentError | None = None

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self._run_id

    def append(self, record: JsonObject) -> None:
        """Send one record to be kept. Raises RunError where an earlier one could not be."""
        self._check()
        line = json.dumps(record, allow_nan=False)
        self._lines.append(line)
        if self._border is None:
            return
        params = {"run": self._run_id, "number": len(self._lines), "line": line, "mark": _mark(record)}
        task = asyncio.ensure_future(self._border.call("runs.append", params))
        self._on_the_way.add(task)
        task.add_done_callback(self._arrived)

    def records(self) -> Sequence[JsonObject]:
        """Every record, in order."""
        return [json.loads(line) for line in self._lines]

    async def settled(self) -> None:
        """Wait until everything appended is kept. Raises RunError where it can't be."""
        while self._on_the_way:
            await asyncio.wait(list(self._on_the_way))
        self._check()

    def _arrived(self, task: asyncio.Task[Any]) -> None:
        self._on_the_way.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self._failure is None:
            self._failure = RunError(
                f"the run's log can't be kept: {error}", fix="free some room, or run with keep: false"
            )

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


@asynccontextmanager
async def create_run(border: Border, run_id: str, *, keep: bool) -> AsyncGenerator[KeptRun]:
    """A new run's log; no other tab may drive it meanwhile. Raises RunIdTaken."""
    if not keep:
        yield KeptRun(None, run_id)
        return
    await border.call("runs.create", {"run": run_id})
    async with _closing(border, KeptRun(border, run_id)) as log:
        yield log


@asynccontextmanager
async def open_run(border: Border, run_id: str) -> AsyncGenerator[KeptRun]:
    """A kept run's log. Raises RunNotFound, RunBusy where another tab drives it."""
    lines: list[str] = await border.call("runs.open", {"run": run_id})
    async with _closing(border, KeptRun(border, run_id, lines)) as log:
        yield log


@asynccontextmanager
async def _closing(border: Border, log: KeptRun) -> AsyncGenerator[KeptRun]:
    try:
        yield log
        await log.settled()
    finally:
        await border.call("runs.close", {"run": log.run_id})


def _mark(record: JsonObject) -> dict[str, Any]:
    """What a list of runs shows, where this record changes it."""
    match record["kind"]:
        case "run":
            workflow: Any = record["workflow"]
            return {"workflow": workflow["name"], "status": "stopped", "createdS": record["at_s"]}
        case "resume":
            return {"status": "stopped"}
        case "end":
            return {"status": record["status"]}
        case _:
            return {}
