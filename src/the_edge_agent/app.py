"""The composition root for native use: settings and flags become ports, backends and a run store.

``App`` is what the command line opens; ``run``, ``resume`` and ``replay`` are the same with everything optional, for
Python programs. This module decides nothing: which model answers is the store's and ``choose``'s business, what a run
may do the engine's, how it looks the terminal's.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import the_edge_agent.engine.run as engine_run
from the_edge_agent.actions import BUILTIN_ACTIONS
from the_edge_agent.adapters.inline_code import InlineCode
from the_edge_agent.adapters.local_files import LocalFiles
from the_edge_agent.adapters.run_store import RunStore
from the_edge_agent.adapters.sqlite_cache import SqliteCache
from the_edge_agent.adapters.sqlite_memory import SqliteMemory
from the_edge_agent.backends.choose import Caller
from the_edge_agent.backends.pool import BackendPool
from the_edge_agent.engine.action import Actions
from the_edge_agent.engine.events import Event
from the_edge_agent.engine.ports import BackendChoice, Ports
from the_edge_agent.engine.records import Record, read_history
from the_edge_agent.engine.run import Backends
from the_edge_agent.engine.run_log import RunLog
from the_edge_agent.engine.session import Asker
from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.inference import Backend, JsonObject, JsonValue
from the_edge_agent.settings import Environment, load_settings
from the_edge_agent.store.locate import LocatedModel
from the_edge_agent.workflow.load import load_workflow, parse_workflow
from the_edge_agent.workflow.nodes import Permissions, Workflow
from the_edge_agent.workflow.streaming import streaming

RUNS_FILE = "runs.sqlite"
MEMORY_FILE = "memory.sqlite"
CACHE_FILE = "cache.sqlite"


@dataclass(frozen=True, slots=True)
class AppOptions:
    """The flags. Without any, a run has no network, no code, and files in the agent's folder alone.

    ``allow_files`` and the other permissions widen what a file may ask for; the file still has to ask.
    """

    gguf: str | None = None
    model: str | None = None
    backend: str | None = None
    allow_code: bool = False
    allow_net: tuple[str, ...] = ()
    allow_files: tuple[str, ...] = ()
    allow_tools: tuple[str, ...] = ()
    keep_log: bool = True
    watch_tokens: bool = False
    """Tell the tokens of every model call, also of nodes that don't say ``stream: true``."""
    mcp_config: Path | None = None
    """A file of MCP servers (see ``adapters/mcp_config``); TEA_MCP_CONFIG's where it is None."""

    @property
    def permissions(self) -> Permissions:
        """The caller's leave, as the engine intersects it with the file's."""
        return Permissions(
            net=frozenset(self.allow_net),
            files=(".", *self.allow_files),
            code=self.allow_code,
            tools=frozenset(self.allow_tools),
        )


class App:
    """Everything wired: load, run, resume, replay, and the store of runs. ``async with App.open(options) as app``."""

    def __init__(
        self, options: AppOptions, environment: Environment, ports: Ports, pool: BackendPool
    ) -> None:
        self.options = options
        self.environment = environment
        self.ports = ports
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(
        cls, options: AppOptions | None = None, environment: Environment | None = None
    ) -> AsyncGenerator[App]:
        """Wire an App; backends open when a run first asks for them and close here. Raises SettingInvalid."""
        options, environment = options or AppOptions(), environment or load_settings()
        mcp_config = options.mcp_config or environment.mcp_config
        async with open_ports(environment, mcp_config) as ports, open_pool(options, environment) as pool:
            yield cls(options, environment, ports, pool)

    @property
    def runs(self) -> RunStore:
        """The runs of this machine."""
        return open_run_store(self.environment)

    def load(self, path: str | os.PathLike[str]) -> Workflow:
        """Load an agent file with the rights of these options. Raises WorkflowInvalid."""
        return load_workflow(path, allow_code=self.options.allow_code)

    async def run(
        self,
        workflow: Workflow,
        input: JsonObject | None = None,  # noqa: A002 - the word of the language
        *,
        run_id: str | None = None,
        seed: int | None = None,
        ask: Asker | None = None,
    ) -> AsyncGenerator[Event]:
        """Run from the start. Raises InputInvalid, RunIdTaken, UsageError before the first event."""
        keep = self.options.keep_log
        with (
            self.runs.create(run_id, sync=workflow.settings.checkpoint_sync) if keep else nullcontext() as log
        ):
            events = engine_run.run(
                self._watched(workflow), input, run_id=run_id, log=log, seed=seed, ask=ask,
                actions=BUILTIN_ACTIONS, backends=self._pool, ports=self.ports, permissions=self.options.permissions,
            )  # fmt: skip
            async with aclosing(events):
                async for event in events:
                    yield event

    async def resume(
        self, run_id: str, *, answer: JsonValue = None, ask: Asker | None = None
    ) -> AsyncGenerator[Event]:
        """Go on with a run. Raises RunNotFound, RunBusy, RunLogCorrupt, and InputInvalid for an answer that is off."""
        with self.runs.open(run_id) as log:
            workflow, notices = logged_workflow(log, allow_code=self.options.allow_code)
            events = engine_run.resume(
                self._watched(workflow), log, answer=answer, ask=ask, notices=notices,
                actions=BUILTIN_ACTIONS, backends=self._pool, ports=self.ports, permissions=self.options.permissions,
            )  # fmt: skip
            async with aclosing(events):
                async for event in events:
                    yield event

    def file_of(self, run_id: str) -> Path:
        """The agent file that a run was started with. Raises RunNotFound, RunLogCorrupt."""
        return _logged_path(read_history(self.runs.read(run_id)).head["workflow"])

    async def replay(self, run_id: str) -> AsyncGenerator[Event]:
        """Repeat a run from its log, without a model. Raises RunNotFound, RunBusy, RunLogCorrupt."""
        with self.runs.open(run_id) as log:
            workflow, _ = logged_workflow(log, allow_code=True)  # nothing is run: code stays text
            async with aclosing(engine_run.replay(workflow, log, actions=BUILTIN_ACTIONS)) as events:
                async for event in events:
                    yield event

    def _watched(self, workflow: Workflow) -> Workflow:
        return streaming(workflow) if self.options.watch_tokens else workflow

    async def backend(self, choice: BackendChoice | None = None) -> Backend:
        """Who answers a request that comes from no file. Raises BackendError, StoreError, LlamaError."""
        return (await self._pool.resolve(choice or BackendChoice())).backend

    def locate(self, choice: BackendChoice) -> LocatedModel:
        """The model file that would answer; opens nothing. Raises ModelNotFound, GgufInvalid."""
        return self._pool.locate(choice)


async def run(
    workflow: Workflow,
    input: JsonObject | None = None,  # noqa: A002 - the word of the language
    *,
    backends: Backends | None = None,
    actions: Actions | None = None,
    ports: Ports | None = None,
    log: RunLog | None = None,
    run_id: str | None = None,
    permissions: Permissions | None = None,
    answers: Mapping[str, JsonValue] | None = None,
    seed: int | None = None,
    variables: JsonObject | None = None,
    ask: Asker | None = None,
) -> AsyncGenerator[Event]:
    """Run a workflow; everything but the workflow is optional.

    Without ``backends`` the model is found as on the command line, and opened when a node first asks. Without ``log``
    nothing is kept. ``actions`` add to the built-in ones. Without ``permissions``: no network, no code, files in the
    agent's folder. The stream ends with one of finished, failed, interrupted; see ``engine.run`` for the errors.
    """
    async with _outside(backends, ports) as (resolver, outside):
        events = engine_run.run(
            workflow, input, run_id=run_id, log=log, answers=answers, seed=seed, variables=variables, ask=ask,
            actions=_with_builtins(actions), backends=resolver, ports=outside, permissions=permissions,
        )  # fmt: skip
        async with aclosing(events):
            async for event in events:
                yield event


async def resume(
    log: RunLog,
    *,
    answer: JsonValue = None,
    answers: Mapping[str, JsonValue] | None = None,
    backends: Backends | None = None,
    actions: Actions | None = None,
    ports: Ports | None = None,
    permissions: Permissions | None = None,
    ask: Asker | None = None,
) -> AsyncGenerator[Event]:
    """Go on with the run of ``log`` (``RunStore.open``); the workflow is the text in the log."""
    workflow, notices = logged_workflow(log, allow_code=permissions is not None and permissions.code)
    async with _outside(backends, ports) as (resolver, outside):
        events = engine_run.resume(
            workflow, log, answer=answer, answers=answers, ask=ask, notices=notices,
            actions=_with_builtins(actions), backends=resolver, ports=outside, permissions=permissions,
        )  # fmt: skip
        async with aclosing(events):
            async for event in events:
                yield event


async def replay(log: RunLog, *, actions: Actions | None = None) -> AsyncGenerator[Event]:
    """Repeat the run of ``log`` from the log alone."""
    workflow, _ = logged_workflow(log, allow_code=True)
    async with aclosing(engine_run.replay(workflow, log, actions=_with_builtins(actions))) as events:
        async for event in events:
            yield event


def open_pool(options: AppOptions, environment: Environment) -> BackendPool:
    """The backends that these flags and this environment lead to; enter it."""
    caller = Caller(options.gguf, options.backend, options.model, environment.offline)
    return BackendPool(caller, environment)


@asynccontextmanager
async def open_ports(environment: Environment, mcp_config: Path | None = None) -> AsyncGenerator[Ports]:
    """The machine as ports: HTTP, files, memory and cache in the data folder, MCP servers, inline code, secrets."""
    from the_edge_agent.adapters.http_client import HttpClient
    from the_edge_agent.adapters.mcp_config import load_mcp_servers
    from the_edge_agent.adapters.mcp_servers import McpServer, McpServers

    servers: Mapping[str, McpServer] = load_mcp_servers(mcp_config) if mcp_config else {}
    async with HttpClient() as http, McpServers(servers) as mcp:
        yield Ports(
            http=http,
            files=LocalFiles(),
            memory=SqliteMemory(environment.data_dir / MEMORY_FILE),
            cache=SqliteCache(environment.data_dir / CACHE_FILE),
            mcp=mcp if servers else None,
            code=InlineCode(),
            secrets=environment.secrets,
        )


@asynccontextmanager
async def _outside(backends: Backends | None, ports: Ports | None) -> AsyncGenerator[tuple[Backends, Ports]]:
    """What the caller handed over; what is missing is opened as the command line opens it, and closed again."""
    environment = load_settings()
    async with AsyncExitStack() as stack:
        if backends is None:
            backends = await stack.enter_async_context(open_pool(AppOptions(), environment))
        if ports is None:
            ports = await stack.enter_async_context(open_ports(environment, environment.mcp_config))
        yield backends, ports


def open_run_store(environment: Environment | None = None) -> RunStore:
    """The runs of this machine, in the data folder."""
    return RunStore((environment or load_settings()).data_dir / RUNS_FILE)


def logged_workflow(log: RunLog, *, allow_code: bool) -> tuple[Workflow, tuple[str, ...]]:
    """The workflow that a log began with, and a notice where its file has changed since.

    Raises RunLogCorrupt, and WorkflowInvalid where the file has code and the caller doesn't allow it.
    """
    kept: Record = read_history(log.records()).head["workflow"]
    before = os.path.dirname(kept["file"])  # noqa: PTH120 - the loader joined it as text, so it is cut as text
    path = _logged_path(kept)
    sources: Mapping[str, str] = kept["sources"]

    def read_import(relative: str) -> str:
        return sources[os.path.join(before, relative)]  # noqa: PTH118 - as above

    workflow = parse_workflow(kept["text"], file=str(path), allow_code=allow_code, read_import=read_import)
    return workflow, _change_notice(path, kept["digest"], allow_code=allow_code)


def _logged_path(kept: Record) -> Path:
    return Path(kept["folder"]) / Path(kept["file"]).name


def _change_notice(path: Path, digest: str, *, allow_code: bool) -> tuple[str, ...]:
    try:
        now = load_workflow(path, allow_code=allow_code).digest
    except EdgeAgentError:
        now = ""
    if now == digest:
        return ()
    what = "has changed since this run began" if path.exists() else "is gone"
    return (f"{path} {what}; the run goes on with the text it began with",)


def _with_builtins(actions: Actions | None) -> Actions:
    return {**BUILTIN_ACTIONS, **actions} if actions else BUILTIN_ACTIONS
