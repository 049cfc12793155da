"""The daemon's core that every edge stands on: route, answer, load, report. One object, no protocol of the wire.

It joins the router (who), the manager (when, and on which worker) and the gateway (outside). It knows nothing of HTTP, gRPC,
sockets or signals.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from the_edge_agent.errors import ActionParamsInvalid, BackendUnavailable, EdgeAgentError, ModelNotFound
from the_edge_agent.inference import (
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    Message,
    SamplingParams,
    collect,
)
from the_edge_agent.inference.json_schema import validate
from the_edge_agent.runtime.changes import words_for_changes
from the_edge_agent.runtime.config import ModelConfig, RuntimeConfig
from the_edge_agent.runtime.gateway import Gateway
from the_edge_agent.runtime.manager import Manager
from the_edge_agent.runtime.model_status import ModelStatus
from the_edge_agent.runtime.registry import (
    Registered,
    configured_models,
    find_model,
    machine_memory_bytes,
    model_at_path,
)
from the_edge_agent.runtime.router import (
    AUTO_NAMES,
    LEVELS,
    Route,
    Target,
    next_route,
    proof_of_failure,
    resolve_route,
)
from the_edge_agent.runtime.telemetry import Telemetry
from the_edge_agent.settings import Environment

log = logging.getLogger("the_edge_agent.runtime")


@dataclass(frozen=True, slots=True)
class Ask:
    """A request with what only the daemon knows of: its place in the queue, and whether to climb on proof."""

    request: ChatRequest
    priority: int = 0
    escalate: bool = False
    must_contain: tuple[str, ...] = ()


@dataclass(slots=True)
class Answer:
    """A stream, and who answers. With ``escalate`` the route is settled when the stream has ended."""

    route: Route
    chunks: AsyncIterator[CompletionChunk] = field(repr=False)


class Daemon:
    """Everything but the sockets. Use it in ``async with``; it is ready when ``boot`` returned."""

    def __init__(
        self,
        config: RuntimeConfig,
        environment: Environment,
        *,
        models: dict[str, Registered] | None = None,
        gateway: Gateway | None = None,
    ) -> None:
        self.config = config
        self._started_with = config
        self.started_at_s = time.time()
        self._ready = asyncio.Event()
        self._environment = environment
        self._telemetry: Telemetry | None = None
        self._models = configured_models(config, environment) if models is None else dict(models)
        self.manager = Manager(
            [registered.managed for registered in self._models.values()],
            limits=config.limits,
            workers=config.workers,
            memory_bytes=config.limits.memory_bytes or machine_memory_bytes(),
            environ=environment.environ,
            wall_clock=time.time,
        )
        self.gateway = gateway or Gateway(
            config.gateway,
            environment.environ,
            environment.data_dir / "runtime" / "spending.json",
            lambda: time.strftime("%Y-%m"),
        )

    @property
    def ready(self) -> bool:
        """Whether the boot check has passed and nothing stops it yet."""
        return self._ready.is_set()

    @ready.setter
    def ready(self, value: bool) -> None:
        if value:
            self._ready.set()
        else:
            self._ready.clear()

    @property
    def ailing(self) -> tuple[str, ...]:
        """Operational models that have failed: the daemon is up and can't do what it is there for."""
        return tuple(
            name
            for name, model in self._models.items()
            if model.level == "operational" and self.manager.status(name).phase == "failed"
        )

    @property
    def health(self) -> str:
        """``ok``, ``starting`` until the boot check has passed, or which operational models have failed."""
        if not self.ready:
            return "starting"
        return f"failed: {', '.join(ailing)}" if (ailing := self.ailing) else "ok"

    async def wait_ready(self) -> None:
        """Return once it is ready."""
        await self._ready.wait()

    async def __aenter__(self) -> Self:
        """Begin to load what is wanted from the start."""
        await self.manager.__aenter__()
        self._telemetry = open_telemetry(self.config, self._environment)
        if self._telemetry is not None:
            await self._telemetry.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the workers and close the gateway."""
        self.ready = False
        await self.manager.__aexit__(kind, error, trace)
        await self.gateway.aclose()
        if self._telemetry is not None:
            await self._telemetry.__aexit__(kind, error, trace)

    # Boot.

    async def boot(self) -> str:
        """Load the operational models and ask the first one whether it works. Returns what it answered.

        Raises:
            BackendUnavailable: it didn't answer as it should within ``boot.tries``; the reason is in the message.
            EdgeAgentError: it can't be loaded.
        """
        operational = [name for name, model in self._models.items() if model.level == "operational"]
        said = ""
        for name in operational:
            await self.manager.load(name)
        if operational and self.config.boot.enabled:
            said = await self._boot_check(operational[0])
        self.ready = True
        return said

    async def _boot_check(self, name: str) -> str:
        boot = self.config.boot
        request = ChatRequest((Message("user", boot.prompt),), SamplingParams(max_tokens=64), deadline_s=60.0)
        said = ""
        for turn in range(1, boot.tries + 1):
            said = (await collect(self.manager.chat(name, request))).text.strip()
            if boot.expected.lower() in said.lower():
                return said
            log.warning("boot check %d of %d: %s answered %.80r", turn, boot.tries, name, said)
        raise BackendUnavailable(
            f"{name} was asked {boot.prompt!r} {boot.tries} times and last answered {said!r:.200}",
            place="boot check",
            fix=f"its answer must contain {boot.expected!r}: use a model that can, or set boot.enabled: false",
        )

    # Answering.

    def targets(self) -> tuple[Target, ...]:
        """Everybody who can answer, in order of preference inside each level."""
        local = [
            Target(name, model.level, self.manager.info(name).n_ctx, leaves_machine=False, features=features)
            if (features := self.manager.info(name).features)
            else Target(name, model.level)
            for name, model in self._models.items()
        ]
        return (
            *local,
            *(Target(name, "strategic", leaves_machine=True) for name in self.gateway.config.providers),
        )

    def answer(self, ask: Ask) -> Answer:
        """Who answers, and the stream. Raises ActionParamsInvalid where nothing is said to the model, and what
        ``resolve_route`` raises; the stream raises the rest.
        """
        if not ask.request.messages:
            raise ActionParamsInvalid(
                "the request has no message", place="messages", fix="give at least one message"
            )
        self._ensure_known(ask.request.model)
        targets = self.targets()
        route = resolve_route(ask.request, targets, self.manager.loaded())
        answer = Answer(route, _nothing())
        answer.chunks = self._climb(ask, answer, targets) if ask.escalate else self._ask(route, ask)
        if self._telemetry is not None:
            answer.chunks = self._telemetry.watched(answer.chunks, ask.request, lambda: answer.route)
        return answer

    async def embed(self, request: EmbedRequest, *, priority: int = 0) -> Embeddings:
        """Embed with the named model, or with the first operational one. Raises as ``Manager.embed`` does."""
        self._ensure_known(request.model)
        name = request.model
        if name in AUTO_NAMES or name in LEVELS:
            name = resolve_route(ChatRequest((), level="operational"), self.targets()).target.name
        return await self.manager.embed(name, request, priority=priority)

    async def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens, for the model that would answer."""
        self._ensure_known(request.model)
        route = resolve_route(request, self.targets(), self.manager.loaded())
        return await self.manager.count_tokens(route.target.name, request)

    def _ask(self, route: Route, ask: Ask) -> AsyncIterator[CompletionChunk]:
        name = route.target.name
        if route.target.leaves_machine:
            return self.gateway.chat(name, ask.request)
        return self.manager.chat(name, ask.request, priority=ask.priority)

    async def _climb(
        self, ask: Ask, answer: Answer, targets: Sequence[Target]
    ) -> AsyncIterator[CompletionChunk]:
        """Answers from the lowest level up until one isn't proved bad; only the last one is passed on."""
        climbed: list[str] = []
        while True:
            chunks: Any = self._ask(answer.route, ask)
            async with aclosing(chunks):
                heard = [chunk async for chunk in chunks]
            completion = await collect(_replay(heard))
            proof = proof_of_failure(
                completion, lambda text: _schema_problem(ask.request, text), ask.must_contain
            )
            higher = next_route(ask.request, answer.route, proof, targets) if proof else None
            if higher is None:
                break
            climbed.append(higher.reason)
            answer.route = higher
        for chunk in heard:
            yield replace(chunk, notices=(*climbed, *chunk.notices)) if chunk.finish_reason else chunk

    # Models.

    def level(self, name: str) -> str:
        """The model's level. Raises ModelNotFound."""
        return self._registered(name).level

    def registered(self) -> tuple[Registered, ...]:
        """Every model on offer, operational ones first."""
        return tuple(sorted(self._models.values(), key=lambda model: LEVELS.index(model.level)))

    async def load(self, name: str, *, path: str = "", model: ModelConfig | None = None) -> ModelStatus:
        """Load a model: one that is on offer, one that the store knows, or the file at ``path``.

        Raises:
            PathRefused: the path lies outside the folders that are allowed.
            EdgeAgentError: as ``Manager.load``.
        """
        if path:
            self._offer(model_at_path(name, path, model or ModelConfig(), self.config, self._environment))
        else:
            self._ensure_known(name)
        return await self.manager.load(name)

    def preload(self, names: Sequence[str]) -> None:
        """Models or levels that will be asked for soon, in order: loaded where that takes nothing from anybody.

        What is unknown, or answered outside this machine, is skipped: the request itself will tell.
        """
        local: list[str] = []
        for name in names:
            if name in AUTO_NAMES:
                continue
            try:
                self._ensure_known(name)
                target = resolve_route(
                    ChatRequest((), model=name), self.targets(), self.manager.loaded()
                ).target
            except EdgeAgentError:
                continue
            if not target.leaves_machine:
                local.append(target.name)
        self.manager.preload(local)

    async def unload(self, name: str) -> ModelStatus:
        """Drain and stop it; it stays on offer. Raises ModelNotFound."""
        await self.manager.unload(name)
        return self.manager.status(name)

    def reload(self, config: RuntimeConfig) -> tuple[str, ...]:
        """Take a new configuration; running answers go on. Returns what was done, in words.

        Raises:
            ModelNotFound, GgufInvalid: a new model isn't there; then nothing has changed.
        """
        models = configured_models(config, self._environment)
        done: list[str] = []
        for name in [name for name in self._models if name not in models]:
            self.manager.remove(name)
            done.append(f"{name} removed")
        for name, registered in models.items():
            known = self._models.get(name)
            if known != registered:
                self.manager.add(registered.managed)
                done.append(f"{name} {'changed' if known else 'added'}")
                if known and known.managed.spec != registered.managed.spec and self.manager.status(name).pid:
                    done[-1] += " (its worker goes on as it was started, until it is unloaded)"
        done += words_for_changes(self._started_with, self.config, config)
        self.manager.reconfigure(
            config.limits, config.workers, config.limits.memory_bytes or machine_memory_bytes()
        )
        self._models, self.config, self.gateway.config = models, config, config.gateway
        return tuple(done)

    def _ensure_known(self, name: str) -> None:
        """Take a model in that isn't configured but lies in the store. Other names are left for the router to refuse."""
        if (
            name in AUTO_NAMES
            or name in LEVELS
            or name in self._models
            or name in self.gateway.config.providers
        ):
            return
        try:
            self._offer(find_model(name, self.config, self._environment))
        except ModelNotFound as error:
            known = ", ".join([*self._models, *self.gateway.config.providers])
            raise ModelNotFound(
                error.what, place="request.model", fix=f"known are {known}, or say auto"
            ) from None

    def _offer(self, registered: Registered) -> None:
        self._models[registered.name] = registered
        self.manager.add(registered.managed)

    def _registered(self, name: str) -> Registered:
        if name not in self._models:
            raise ModelNotFound(
                f"no model is called {name!r:.80}",
                place="runtime",
                fix=f"known are {', '.join(self._models)}",
            )
        return self._models[name]


def open_telemetry(config: RuntimeConfig, environment: Environment) -> Telemetry | None:
    """Who sends spans, where the configuration names a collector."""
    telemetry = config.telemetry
    if not telemetry.otlp_endpoint:
        return None
    given = environment.environ.get(telemetry.headers_env, "") if telemetry.headers_env else ""
    pairs = [entry.partition("=") for entry in given.split(",") if "=" in entry]
    headers = {name.strip(): value.strip() for name, _, value in pairs}
    return Telemetry(telemetry.otlp_endpoint, service=telemetry.service_name, headers=headers)


async def _nothing() -> AsyncIterator[CompletionChunk]:
    return
    yield CompletionChunk()


async def _replay(chunks: Sequence[CompletionChunk]) -> AsyncIterator[CompletionChunk]:
    for chunk in chunks:
        yield chunk


def _schema_problem(request: ChatRequest, text: str) -> str | None:
    format_ = request.response_format
    if format_.type == "text":
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return "it isn't JSON"
    if format_.schema is None:
        return None if isinstance(value, dict) else "it is no object"
    problems = validate(format_.schema, value)
    return str(problems[0]) if problems else None
