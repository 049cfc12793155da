"""Runs of the configured workflows inside the daemon: started, watched by any number of readers, resumed, cancelled.

A run goes on when its readers leave; its log is in the data folder's store, as a run of the command line is. It asks this very
daemon through its Unix socket, with the rights of an agent file that was given none: no network, no code, its own folder.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from the_edge_agent.app import App, AppOptions
from the_edge_agent.engine import Event
from the_edge_agent.errors import EdgeAgentError, ModelNotFound, RateLimited, RunBusy, RunNotFound
from the_edge_agent.settings import Environment

log = logging.getLogger("the_edge_agent.serving")

#: How many runs are remembered for readers who come late, and how many go on at once.
MAX_REMEMBERED = 200
MAX_RUNNING = 64
#: A run's status by its last event.
ENDINGS = {"finished": "done", "failed": "failed", "interrupted": "interrupted"}


class AgentRun:
    """One run: what it told so far, and whether it is over."""

    def __init__(self, agent: str, run_id: str) -> None:
        self.agent = agent
        self.run_id = run_id
        self.status = "running"
        self.events: list[dict[str, Any]] = []
        self.task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def tell(self, event: dict[str, Any]) -> None:
        """Add an event and wake the readers."""
        self.events.append(event)
        self._news.set()
        self._news = asyncio.Event()

    async def read(self, start: int = 0) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """Events from number ``start`` on, until the run is over."""
        place = start
        while True:
            news = self._news
            while place < len(self.events):
                yield place, self.events[place]
                place += 1
            if self.status != "running":
                return
            await news.wait()

    def end(self, status: str) -> None:
        """Say how it ended."""
        self.status = status
        self._news.set()


class AgentRuns:
    """The runs of one daemon. Use it in ``async with``; leaving cancels what still runs (its log can be resumed)."""

    def __init__(self, files: Mapping[str, str], environment: Environment, socket_path: Path) -> None:
        self.files = {name: str(Path(path).expanduser()) for name, path in files.items()}
        self._environment = replace(environment, runtime_socket=socket_path)
        self._runs: dict[str, AgentRun] = {}
        self._stack = AsyncExitStack()
        self._app: App | None = None

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first run."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel and close."""
        tasks = [run.task for run in self._runs.values() if run.task is not None and not run.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def start(self, agent: str, given: Mapping[str, Any], run_id: str = "") -> AgentRun:
        """Begin a run.

        Raises:
            ModelNotFound: no such agent. RateLimited: too many go on.
            EdgeAgentError: the file or the input is wrong, or the id is taken.
        """
        file = self._file(agent)
        app = await self._opened()
        workflow = app.load(file)
        run = AgentRun(agent, run_id or f"http-{secrets.token_hex(8)}")
        await self._begin(run, app.run(workflow, given, run_id=run.run_id))
        return run

    async def resume(self, agent: str, run_id: str, answer: Any) -> AgentRun:
        """Go on with a run of that agent that was interrupted, cancelled or cut off.

        Raises:
            ModelNotFound: no such agent. RunNotFound: no such run, or one of another file. RunBusy: it goes on.
        """
        file = self._file(agent)
        known = self._runs.get(run_id)
        if known is not None and known.agent == agent and known.status == "running":
            raise RunBusy(f"{run_id} is running", place="agents", fix="read its events, or cancel it")
        app = await self._opened()
        if not _is_same_file(app.file_of(run_id), file):  # e.g. what somebody runs in a terminal
            raise RunNotFound(
                f"run {run_id!r:.80} is none of {agent!r:.80}",
                place="agents",
                fix="`tea resume` goes on with it",
            )
        run = AgentRun(agent, run_id)
        await self._begin(run, app.resume(run_id, answer=answer))
        return run

    def _file(self, agent: str) -> str:
        if agent not in self.files:
            known = ", ".join(self.files) or "none"
            raise ModelNotFound(
                f"no agent is called {agent!r:.80}", place="agents", fix=f"configured are {known}"
            )
        return self.files[agent]

    def find(self, agent: str, run_id: str) -> AgentRun:
        """A run that was started since the daemon is up. Raises RunNotFound."""
        run = self._runs.get(run_id)
        if run is None or run.agent != agent:
            raise RunNotFound(
                f"no run {run_id!r:.80} of {agent!r:.80} is known here",
                place="agents",
                fix="`tea runs` has older ones",
            )
        return run

    async def cancel(self, agent: str, run_id: str) -> AgentRun:
        """Stop a run; what it has committed stays in its log."""
        run = self.find(agent, run_id)
        if run.task is not None and not run.task.done():
            run.task.cancel()
            await asyncio.gather(run.task, return_exceptions=True)
        return run

    async def _begin(self, run: AgentRun, events: AsyncGenerator[Event]) -> None:
        """Take the first event here, so that a wrong input is the caller's error and not an event."""
        running = sum(1 for other in self._runs.values() if other.status == "running")
        if running >= MAX_RUNNING:
            raise RateLimited(f"{running} runs go on already", place="agents", retry_after_s=5)
        run.tell((await anext(events)).to_json())
        self._runs[run.run_id] = run
        for old in [key for key, other in self._runs.items() if other.status != "running"][:-MAX_REMEMBERED]:
            del self._runs[old]
        run.task = asyncio.create_task(self._drive(run, events))

    async def _drive(self, run: AgentRun, events: AsyncGenerator[Event]) -> None:
        status = "cancelled"
        try:
            async with aclosing(events):
                async for event in events:
                    run.tell(event.to_json())
                    status = ENDINGS.get(event.type, status)
        except EdgeAgentError as error:
            status = "failed"
            run.tell({"type": "error", "name": error.name, "message": str(error)})
        except Exception:
            status = "failed"
            log.exception("run %s failed", run.run_id)
            run.tell(
                {"type": "error", "name": "EdgeAgentError", "message": "the daemon's log has the reason"}
            )
        finally:
            run.end(status)

    async def _opened(self) -> App:
        if self._app is None:
            self._app = await self._stack.enter_async_context(
                App.open(AppOptions(backend="runtime", watch_tokens=True), self._environment)
            )
        return self._app


def _is_same_file(one: Path, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
