"""Carries out what the scheduler decides: the one owner of the schedule, of the workers, and of every running answer.

Streams survive their worker (see ``resuming``): when it dies the request waits in front of the queue for the next one. It knows
nothing of routes, HTTP, gRPC or files' names.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from types import TracebackType
from typing import Any, Self

from the_edge_agent.errors import (
    BackendUnavailable,
    ModelNotFound,
    OutOfMemory,
)
from the_edge_agent.inference import (
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
)
from the_edge_agent.runtime.config import LimitsConfig, WorkersConfig
from the_edge_agent.runtime.deadline import Deadline
from the_edge_agent.runtime.draft import used_bytes
from the_edge_agent.runtime.model_status import ManagedModel, ModelStatus, Record
from the_edge_agent.runtime.resuming import ResumingAnswer
from the_edge_agent.runtime.schedule import (
    RESIDENT,
    Admit,
    Asked,
    Decision,
    Ended,
    Event,
    Expected,
    Limits,
    LimitsChanged,
    LoadAsked,
    ModelAdded,
    ModelRemoved,
    Refuse,
    Schedule,
    ShutdownAsked,
    Start,
    Stop,
    Ticked,
    UnloadAsked,
    WorkerMeasured,
)
from the_edge_agent.runtime.scheduler import decide, next_wakeup_s
from the_edge_agent.runtime.standby import Standby
from the_edge_agent.runtime.ticket import Ticket, error_of
from the_edge_agent.runtime.token_rate import TokenRate
from the_edge_agent.runtime.worker_life import live
from the_edge_agent.runtime.worker_process import WorkerGone, WorkerProcess

log = logging.getLogger("the_edge_agent.runtime")


class Manager:
    """Models and answers of one daemon. Use it in ``async with``; leaving stops every worker."""

    def __init__(
        self,
        models: Sequence[ManagedModel],
        *,
        limits: LimitsConfig,
        workers: WorkersConfig,
        memory_bytes: int,
        environ: Mapping[str, str],
        wall_clock: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._timing = workers
        self._wall_clock = wall_clock
        self._schedule = Schedule(_scheduler_limits(limits, workers, memory_bytes))
        self._records: dict[str, Record] = {}
        self._tickets: dict[int, Ticket] = {}
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rate = TokenRate()
        self._first = tuple(models)
        self._standby = Standby(environ)
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        """Take the models in; those that are wanted start loading."""
        for managed in self._first:
            self.add(managed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything at once; call ``drain`` before for a gentle end."""
        self._tell(ShutdownAsked())
        if self._timer is not None:
            self._timer.cancel()
        for record in self._records.values():
            record.stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, self._standby.aclose(), return_exceptions=True)

    # What it knows.

    @property
    def names(self) -> tuple[str, ...]:
        """The models, in the order they were added."""
        return tuple(self._records)

    def loaded(self) -> frozenset[str]:
        """Models that answer now without loading."""
        return frozenset(name for name, model in self._schedule.models.items() if model.phase == "ready")

    def info(self, name: str) -> BackendInfo:
        """What the model's worker said of itself, or what is known before there was one. Raises ModelNotFound."""
        return self._record(name).info

    def status(self, name: str) -> ModelStatus:
        """The model now. Raises ModelNotFound."""
        record, model = self._record(name), self._schedule.models[name]
        waiting = sum(1 for entry in self._schedule.waiting if entry.model == name)
        return record.status(model, waiting)

    def statuses(self) -> tuple[ModelStatus, ...]:
        """Every model now."""
        return tuple(self.status(name) for name in self._records)

    @property
    def queue_length(self) -> int:
        """Requests that wait."""
        return len(self._schedule.waiting)

    @property
    def used_bytes(self) -> int:
        """Memory of all workers."""
        return used_bytes(self._schedule.models.values())

    @property
    def standby_pid(self) -> int:
        """The process that waits for a model; 0 for none."""
        return self._standby.pid

    @property
    def standby_bytes(self) -> int:
        """Its memory, which isn't in ``used_bytes``: that is held against the workers' limit."""
        return self._standby.size_bytes

    @property
    def memory_bytes(self) -> int:
        """Memory that all workers may hold."""
        return self._schedule.limits.memory_bytes

    def tokens_per_s(self) -> float:
        """Tokens that left in the last seconds, a second."""
        return self._rate.per_s(asyncio.get_running_loop().time())

    def log_lines(self, name: str) -> tuple[str, ...]:
        """What the model's last worker wrote. Raises ModelNotFound."""
        return tuple(self._record(name).log_lines)

    # What it is asked for.

    async def chat(
        self, name: str, request: ChatRequest, *, priority: int = 0
    ) -> AsyncIterator[CompletionChunk]:
        """Stream one model's answer; a worker that dies in between is replaced and the stream goes on.

        Raises:
            RateLimited: the queue is full, or the model has failed and may be tried again later.
            BackendTimeout: the deadline passed, wherever the request was then.
            EdgeAgentError: the model's own error, or ModelNotFound, OutOfMemory, BackendUnavailable.
        """
        deadline = self._deadline(request.deadline_s)
        record = self._record(name)

        def count_tokens(tokens: int) -> None:
            record.tokens += tokens
            self._rate.count(tokens, asyncio.get_running_loop().time())

        def count_resume() -> None:
            record.resumed += 1

        ticket = self._ask(name, priority, deadline)
        answer = ResumingAnswer(name, request, on_tokens=count_tokens, on_resume=count_resume)
        try:
            async with aclosing(answer.chunks(ticket, deadline)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._end(ticket, record)

    async def embed(self, name: str, request: EmbedRequest, *, priority: int = 0) -> Embeddings:
        """Embed texts with one model; tried again when its worker dies. Raises as ``chat`` does."""
        return await self._call(
            name, request.deadline_s, priority, lambda worker: worker.embed(replace(request, model=name))
        )

    async def count_tokens(self, name: str, request: ChatRequest) -> int:
        """Prompt tokens for one model. Raises as ``chat`` does."""
        return await self._call(name, request.deadline_s, 0, lambda worker: worker.count_tokens(request))

    async def load(self, name: str) -> ModelStatus:
        """Have the model loaded and wait for it. Raises ModelNotFound, OutOfMemory, BackendUnavailable."""
        record = self._record(name)
        self._tell(LoadAsked(name))
        while True:
            record.changed.clear()
            model = self._schedule.models.get(name)
            if model is None:
                raise ModelNotFound(f"{name} was taken out of the configuration", place="load")
            if model.phase == "ready":
                return self.status(name)
            if model.phase == "failed":
                raise BackendUnavailable(
                    f"{name} can't be loaded: {model.failure}", place=name, fix="see its log"
                )
            if not model.wanted and model.phase == "unloaded":
                raise OutOfMemory(model.failure or f"{name} was unloaded meanwhile", place=name)
            if self._schedule.shutting_down and model.phase != "loading":
                raise BackendUnavailable(
                    "the daemon is stopping", place=name, fix="ask again when it is back"
                )
            await record.changed.wait()

    def preload(self, names: Sequence[str]) -> None:
        """Models that will be wanted soon, in order; loaded where that takes nothing from anybody. Unknown ones are skipped."""
        for name in names:
            if name in self._records:
                self._tell(Expected(name))

    async def unload(self, name: str) -> None:
        """Drain and stop the model's worker; returns when it is reaped, or when a load that came later keeps it.

        Who waits for the model gets a new worker at once, so the model may be loading again when this returns.
        Raises ModelNotFound.
        """
        record = self._record(name)
        ended = record.ended
        self._tell(UnloadAsked(name))
        while record.ended == ended and self._is_unloading(name):
            record.changed.clear()
            await record.changed.wait()

    def _is_unloading(self, name: str) -> bool:
        model = self._schedule.models.get(name)
        return model is not None and (
            model.phase == "stopping" or (model.phase in RESIDENT and model.drain_at_s is not None)
        )

    def add(self, managed: ManagedModel) -> None:
        """Know a model from now on, or know it differently (its running worker stays as it is)."""
        name = managed.model.name
        record = self._records.get(name)
        if record is None:
            self._records[name] = Record(managed.spec, BackendInfo(managed.model.name, name))
        else:
            record.spec = managed.spec
        self._tell(ModelAdded(managed.model))

    def remove(self, name: str) -> None:
        """Drain, stop and forget a model."""
        self._tell(ModelRemoved(name))

    def reconfigure(self, limits: LimitsConfig, workers: WorkersConfig, memory_bytes: int) -> None:
        """Take new limits and timings; running workers keep the timings they began with."""
        self._limits, self._timing = limits, workers
        self._standby.enable(workers.standby)
        self._tell(LimitsChanged(_scheduler_limits(limits, workers, memory_bytes)))

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing new in, and wait for running answers; whether all were done in time."""
        self._tell(ShutdownAsked())
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    # Tickets.

    def _ask(self, name: str, priority: int, deadline: Deadline) -> Ticket:
        ticket = Ticket(next(self._numbers))
        self._tickets[ticket.number] = ticket
        self._idle.clear()
        self._tell(Asked(ticket.number, name, priority, deadline.at_s))
        return ticket

    def _end(self, ticket: Ticket, record: Record) -> None:
        self._tickets.pop(ticket.number, None)
        if not self._tickets:
            self._idle.set()
        record.requests += 1
        record.last_used_at_s = self._wall_clock()
        if record.worker is not None and (size_bytes := record.worker.resident_bytes()):
            self._tell(WorkerMeasured(record.spec.name, size_bytes))
        self._tell(Ended(ticket.number))

    async def _call(
        self, name: str, deadline_s: float | None, priority: int, ask: Callable[[WorkerProcess], Any]
    ) -> Any:
        deadline = self._deadline(deadline_s)
        record = self._record(name)
        ticket = self._ask(name, priority, deadline)
        try:
            while True:
                worker = await deadline.until(ticket.admission())
                try:
                    return await deadline.until(ask(worker))
                except WorkerGone:
                    record.resumed += 1
        finally:
            self._end(ticket, record)

    def _deadline(self, deadline_s: float | None) -> Deadline:
        return Deadline.after(deadline_s or self._limits.deadline_s)

    def _record(self, name: str) -> Record:
        record = self._records.get(name)
        if record is None:
            known = ", ".join(self._records) or "none"
            raise ModelNotFound(f"no model is called {name!r}", place="runtime", fix=f"known are {known}")
        return record

    # The schedule.

    def _tell(self, event: Event) -> None:
        now_s = asyncio.get_running_loop().time()
        self._schedule, decisions = decide(self._schedule, event, now_s)
        for decision in decisions:
            self._carry_out(decision)
        if not isinstance(event, Ended | Asked | WorkerMeasured):
            for name in [name for name in self._records if name not in self._schedule.models]:
                self._records.pop(name).changed.set()
            for record in self._records.values():
                record.changed.set()
        self._arm_timer(now_s)

    def _arm_timer(self, now_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moment_s = None if self._schedule.shutting_down else next_wakeup_s(self._schedule, now_s)
        if moment_s is not None:
            self._timer = asyncio.get_running_loop().call_at(moment_s, self._tell, Ticked())

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case Start(name):
                log.info("%s: starting", name)
                record = self._records[name]
                record.stop = asyncio.Event()
                life = live(record, self._timing, self._standby, self._tell, self._wall_clock)
                task = asyncio.create_task(life, name=f"worker {name}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Stop(name, why):
                log.info("%s: stopping (%s)", name, why)
                self._records[name].stop.set()
            case Admit(number, name):
                worker = self._records[name].worker
                if (ticket := self._tickets.get(number)) and worker is not None:
                    ticket.say(worker)
            case Refuse():
                if ticket := self._tickets.get(decision.ticket):
                    ticket.say(error_of(decision))


def _scheduler_limits(limits: LimitsConfig, workers: WorkersConfig, memory_bytes: int) -> Limits:
    return Limits(
        memory_bytes=memory_bytes,
        queue_size=limits.queue_size,
        crash_limit=workers.crash_limit,
        crash_window_s=workers.crash_window_s,
        backoff_s=workers.backoff_s,
        failed_retry_s=workers.failed_retry_s,
        patience_s=workers.patience_s,
        drain_s=workers.drain_s,
    )
