"""Who is loaded, who is evicted, who is answered, who is refused: ``(schedule, event, now) → (schedule, decisions)``.

Pure: no clock, no process, no I/O; the manager carries decisions out and reports back as events. After each event the
same rules run in this order until nothing changes:

1. A deadline that passed, a failed model, or the daemon's end refuses who waits for it.
2. A drained, or idle and unpinned, model is stopped.
3. Requests are admitted in order (interrupted first, then priority, then arrival) where their model is ready and has a
   free slot; never past an older request that waits for that model's memory.
4. A model that somebody waits for is started where its memory fits; else idle unpinned models are stopped, the least
   recently used first, and only if that makes enough room. Busy and pinned models are never stopped for it. Where only
   busy ones are in the way, they take no younger requests after ``patience_s``, and fall idle in time.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from the_edge_agent.runtime.schedule import (
    RESIDENT,
    Admit,
    Asked,
    Decision,
    Ended,
    Event,
    LimitsChanged,
    LoadAsked,
    Model,
    ModelAdded,
    ModelRemoved,
    RefusalKind,
    Refuse,
    Schedule,
    Served,
    ShutdownAsked,
    Start,
    Stop,
    UnloadAsked,
    Waiting,
    WorkerLost,
    WorkerMeasured,
    WorkerReady,
    WorkerStopped,
)

MAX_RETRY_AFTER_S = 60.0


def decide(schedule: Schedule, event: Event, now_s: float) -> tuple[Schedule, tuple[Decision, ...]]:
    """What follows from one event. Events about models or tickets that are unknown change nothing."""
    draft = _Draft(schedule, now_s)
    draft.apply(event)
    draft.settle()
    return draft.finished()


def next_wakeup_s(schedule: Schedule, now_s: float) -> float | None:
    """When after ``now_s`` a ``Ticked`` may change something, at the earliest; None while only other events can."""
    waiting = schedule.waiting
    patience_s = schedule.limits.patience_s
    moments = [entry.deadline_at_s for entry in waiting if entry.deadline_at_s is not None]
    awaited = {entry.model for entry in waiting}
    for model in schedule.models.values():
        if model.phase == "backoff" and (model.wanted or model.name in awaited):
            moments.append(model.retry_at_s)
        if model.drain_at_s is not None and model.phase == "ready":
            moments.append(model.drain_at_s)
        if _may_idle_out(model) and model.keep_alive_s is not None:
            moments.append(model.last_used_at_s + model.keep_alive_s)
        if model.active and not model.pinned:
            moments += [
                entry.arrived_at_s + patience_s
                for entry in waiting
                if schedule.models[entry.model].phase not in RESIDENT
            ]
    return min((moment for moment in moments if moment > now_s), default=None)


def used_bytes(models: Iterable[Model]) -> int:
    """Memory that workers hold or are about to hold."""
    return sum(model.size_bytes for model in models if model.phase in RESIDENT)


def _may_idle_out(model: Model) -> bool:
    return model.phase == "ready" and not model.active and not model.pinned


@dataclass(slots=True)
class _Needed:
    """A model to start, and the oldest request that waits for it (None: it is wanted for itself)."""

    model: Model
    request: Waiting | None


class _Draft:
    """A schedule being changed: mutable inside one ``decide``, never seen outside."""

    def __init__(self, schedule: Schedule, now_s: float) -> None:
        self.limits = schedule.limits
        self.models = dict(schedule.models)
        self.waiting = list(schedule.waiting)
        self.serving = dict(schedule.serving)
        self.shutting_down = schedule.shutting_down
        self.now_s = now_s
        self.decisions: list[Decision] = []

    def finished(self) -> tuple[Schedule, tuple[Decision, ...]]:
        schedule = Schedule(self.limits, self.models, tuple(self.waiting), self.serving, self.shutting_down)
        return schedule, tuple(self.decisions)

    # Events.

    def apply(self, event: Event) -> None:
        match event:
            case Asked():
                self._ask(event)
            case Ended(ticket):
                self._end(ticket)
            case WorkerReady(name, size_bytes) if name in self.models:
                self._change(
                    name, phase="ready", size_bytes=size_bytes, failure="", last_used_at_s=self.now_s
                )
            case WorkerMeasured(name, size_bytes) if (
                name in self.models and self.models[name].phase == "ready"
            ):
                self._change(name, size_bytes=size_bytes)
            case WorkerLost(name) if name in self.models and self.models[name].phase != "stopping":
                self._lose(self.models[name], event.failure, permanent=event.permanent)
            case WorkerLost(name) | WorkerStopped(name) if name in self.models:
                self._unload(name)
            case LoadAsked(name) if name in self.models:
                self._want(self.models[name])
            case UnloadAsked(name) if name in self.models:
                self._drain(self.models[name])
            case ModelAdded(model):
                self._add(model)
            case ModelRemoved(name) if name in self.models:
                self._remove(name)
            case LimitsChanged(limits):
                self.limits = limits
            case ShutdownAsked():
                self.shutting_down = True
            case _:
                pass

    def _ask(self, event: Asked) -> None:
        model = self.models.get(event.model)
        if model is None or model.removed:
            self.decisions.append(
                Refuse(event.ticket, event.model, "unloaded", f"{event.model} is not configured")
            )
            return
        queued = sum(1 for entry in self.waiting if not entry.started)
        if queued >= self.limits.queue_size:
            what = f"{queued} requests are waiting already"
            self.decisions.append(
                Refuse(event.ticket, event.model, "queue_full", what, self._retry_after_s(model, queued))
            )
            return
        if model.phase == "failed" and self.now_s >= model.retry_at_s:
            self._change(model.name, phase="unloaded")
        request = Waiting(event.ticket, event.model, event.priority, self.now_s, event.deadline_at_s)
        insort(self.waiting, request, key=_order)

    def _retry_after_s(self, model: Model, queued: int) -> float:
        return float(min(MAX_RETRY_AFTER_S, max(1, math.ceil(queued * model.service_s / model.slots))))

    def _end(self, ticket: int) -> None:
        served = self.serving.pop(ticket, None)
        if served is None:
            self.waiting = [entry for entry in self.waiting if entry.ticket != ticket]
            return
        model = self.models.get(served.request.model)
        if model is not None:
            took_s = self.now_s - served.admitted_at_s
            self._change(
                model.name,
                active=model.active - {ticket},
                last_used_at_s=self.now_s,
                service_s=0.8 * model.service_s + 0.2 * took_s,
            )

    def _lose(self, model: Model, failure: str, *, permanent: bool) -> None:
        """A crash: who was served waits again, in front; the model restarts later, or is failed after too many."""
        self._requeue(model.name)
        recent = tuple(at for at in model.crashed_at_s if at > self.now_s - self.limits.crash_window_s)
        crashes = (*recent, self.now_s)
        if model.removed:
            self._forget(model.name)
        elif permanent or len(crashes) >= self.limits.crash_limit:
            retry_at_s = self.now_s + self.limits.failed_retry_s
            self._change(
                model.name,
                phase="failed",
                failure=failure,
                crashed_at_s=(),
                retry_at_s=retry_at_s,
                drain_at_s=None,
            )
        else:
            pause_s = 0.0
            if len(crashes) > 1:
                pause_s = min(self.limits.backoff_max_s, self.limits.backoff_s * 2.0 ** (len(crashes) - 2))
            self._change(
                model.name,
                phase="backoff",
                failure=failure,
                crashed_at_s=crashes,
                retry_at_s=self.now_s + pause_s,
                drain_at_s=None,
            )

    def _unload(self, name: str) -> None:
        self._requeue(name)
        self._change(name, phase="unloaded", drain_at_s=None)
        if self.models[name].removed:
            self._forget(name)

    def _requeue(self, name: str) -> None:
        for ticket in sorted(self.models[name].active):
            served = self.serving.pop(ticket)
            insort(self.waiting, replace(served.request, started=True), key=_order)
        self._change(name, active=frozenset[int]())

    def _want(self, model: Model) -> None:
        forgiven = model.phase in ("failed", "backoff")
        self._change(
            model.name,
            wanted=True,
            drain_at_s=None if model.phase == "ready" else model.drain_at_s,
            phase="unloaded" if forgiven else model.phase,
            crashed_at_s=() if forgiven else model.crashed_at_s,
        )

    def _drain(self, model: Model) -> None:
        if model.phase in ("loading", "ready"):
            self._change(model.name, wanted=False, drain_at_s=self.now_s + self.limits.drain_s)
        elif model.phase == "stopping":
            self._change(model.name, wanted=False)
        else:
            self._change(model.name, wanted=False, phase="unloaded", failure="", crashed_at_s=())

    def _add(self, model: Model) -> None:
        known = self.models.get(model.name)
        if known is None:
            self.models[model.name] = model
            return
        resident = known.phase in RESIDENT
        self.models[model.name] = replace(
            known,
            size_bytes=known.size_bytes if resident else model.size_bytes,
            slots=model.slots,
            pinned=model.pinned,
            keep_alive_s=model.keep_alive_s,
            wanted=known.wanted or model.wanted,
            removed=False,
        )

    def _remove(self, name: str) -> None:
        model = self.models[name]
        if model.phase in RESIDENT:
            self._drain(model)
            self._change(name, removed=True, pinned=False)
        else:
            self._forget(name)

    def _forget(self, name: str) -> None:
        for entry in [entry for entry in self.waiting if entry.model == name]:
            self._refuse(entry, "unloaded", f"{name} was taken out of the configuration")
        del self.models[name]

    # Rules.

    def settle(self) -> None:
        self._refuse_the_hopeless()
        self._stop_the_idle()
        held_back = self._start_the_awaited()
        self._admit(held_back)

    def _refuse_the_hopeless(self) -> None:
        for entry in tuple(self.waiting):
            model = self.models[entry.model]
            if entry.deadline_at_s is not None and entry.deadline_at_s <= self.now_s:
                waited = f"waited {self.now_s - entry.arrived_at_s:.1f} s for {entry.model}"
                self._refuse(entry, "deadline", waited)
            elif self.shutting_down and not entry.started:
                self._refuse(entry, "shutting_down", "the daemon is stopping")
            elif model.phase == "failed":
                retry_after_s = max(1.0, math.ceil(model.retry_at_s - self.now_s))
                self._refuse(entry, "failed", f"{entry.model} failed: {model.failure}", retry_after_s)
            elif model.removed and not entry.started:
                self._refuse(entry, "unloaded", f"{entry.model} was taken out of the configuration")

    def _stop_the_idle(self) -> None:
        awaited = {entry.model for entry in self.waiting}
        for model in tuple(self.models.values()):
            if model.phase != "ready":
                continue
            if model.drain_at_s is not None:
                if not model.active:
                    self._stop(model, "unload was asked for")
                elif model.drain_at_s <= self.now_s:
                    self._cut_off(model)
            elif (
                _may_idle_out(model)
                and model.keep_alive_s is not None
                and model.name not in awaited
                and model.last_used_at_s + model.keep_alive_s <= self.now_s
            ):
                self._stop(model, f"idle for {model.keep_alive_s:g} s")

    def _cut_off(self, model: Model) -> None:
        for ticket in sorted(model.active):
            request = self.serving.pop(ticket).request
            what = f"{model.name} was unloaded and the answer was not done after {self.limits.drain_s:g} s"
            self.decisions.append(Refuse(ticket, request.model, "unloaded", what))
        self._change(model.name, active=frozenset[int]())
        self._stop(self.models[model.name], "unload was asked for")

    def _start_the_awaited(self) -> dict[str, Waiting]:
        """Start what fits, evict where that helps. Returns the busy models that stand in an older request's way."""
        held_back: dict[str, Waiting] = {}
        promised_bytes = 0
        for needed in self._needed():
            model = needed.model
            pinned_bytes = used_bytes(m for m in self.models.values() if m.pinned and m.name != model.name)
            if model.size_bytes > self.limits.memory_bytes - pinned_bytes:
                self._refuse_too_large(model, self.limits.memory_bytes - pinned_bytes)
                continue
            others = [m for m in self.models.values() if m.name != model.name]
            free_bytes = self.limits.memory_bytes - promised_bytes - used_bytes(others)
            if model.size_bytes <= free_bytes:
                self._change(model.name, phase="loading", drain_at_s=None)
                self.decisions.append(Start(model.name))
                continue
            leaving_bytes = sum(m.size_bytes for m in others if m.phase == "stopping")
            missing_bytes = model.size_bytes - free_bytes - leaving_bytes
            if missing_bytes > 0 and not self._evict(missing_bytes, needed.request):
                if needed.request is not None and self._is_impatient(needed.request):
                    for name in self._in_the_way(missing_bytes):
                        held_back.setdefault(name, needed.request)
                if needed.request is None:
                    continue  # what nobody waits for takes no room away from what somebody does
            promised_bytes += model.size_bytes
        return held_back

    def _needed(self) -> list[_Needed]:
        """The models to start, in the order of who waits for them; wanted ones last."""
        oldest: dict[str, Waiting] = {}
        for entry in self.waiting:
            oldest.setdefault(entry.model, entry)
        names = list(oldest)
        if not self.shutting_down:
            names += [m.name for m in self.models.values() if m.wanted and m.name not in oldest]
        return [
            _Needed(self.models[name], oldest.get(name))
            for name in names
            if self.models[name].phase == "unloaded"
            or (self.models[name].phase == "backoff" and self.models[name].retry_at_s <= self.now_s)
        ]

    def _refuse_too_large(self, model: Model, room_bytes: int) -> None:
        what = f"{model.name} needs {model.size_bytes} bytes and {room_bytes} are not taken by pinned models"
        for entry in [entry for entry in self.waiting if entry.model == model.name]:
            self._refuse(entry, "too_large", what)
        self._change(model.name, wanted=False, phase="unloaded", failure=what)

    def _evict(self, missing_bytes: int, request: Waiting | None) -> bool:
        """Stop the least recently used idle models if they make enough room together; else stop none."""
        awaited = {entry.model for entry in self.waiting if request is None or entry.order < request.order}
        idle = sorted(
            (
                m
                for m in self.models.values()
                if _may_idle_out(m) and m.drain_at_s is None and m.name not in awaited
            ),
            key=lambda m: (m.last_used_at_s, m.name),
        )
        if sum(m.size_bytes for m in idle) < missing_bytes:
            return False
        for victim in idle:
            if missing_bytes <= 0:
                break
            self._stop(victim, "its memory is needed")
            missing_bytes -= victim.size_bytes
        return True

    def _is_impatient(self, request: Waiting) -> bool:
        return request.started or request.arrived_at_s + self.limits.patience_s <= self.now_s

    def _in_the_way(self, missing_bytes: int) -> list[str]:
        """Unpinned models, least recently used first, whose memory would be enough once they are idle."""
        names: list[str] = []
        for model in sorted(self.models.values(), key=lambda m: (bool(m.active), m.last_used_at_s, m.name)):
            if missing_bytes > 0 and not model.pinned and model.phase in ("ready", "loading"):
                names.append(model.name)
                missing_bytes -= model.size_bytes
        return names

    def _admit(self, held_back: Mapping[str, Waiting]) -> None:
        for entry in tuple(self.waiting):
            model = self.models[entry.model]
            if model.phase != "ready" or model.drain_at_s is not None or len(model.active) >= model.slots:
                continue
            older = held_back.get(model.name)
            if older is not None and older.order < entry.order:
                continue
            self.waiting.remove(entry)
            self.serving[entry.ticket] = Served(entry, self.now_s)
            self._change(model.name, active=model.active | {entry.ticket}, last_used_at_s=self.now_s)
            self.decisions.append(Admit(entry.ticket, entry.model))

    # Steps.

    def _stop(self, model: Model, why: str) -> None:
        self._change(model.name, phase="stopping", wanted=model.wanted and model.pinned)
        self.decisions.append(Stop(model.name, why))

    def _refuse(self, entry: Waiting, kind: RefusalKind, what: str, retry_after_s: float = 0.0) -> None:
        self.waiting.remove(entry)
        self.decisions.append(Refuse(entry.ticket, entry.model, kind, what, retry_after_s))

    def _change(self, name: str, **changes: object) -> None:
        self.models[name] = replace(self.models[name], **changes)  # pyright: ignore[reportArgumentType]


def _order(entry: Waiting) -> tuple[bool, int, int]:
    return entry.order
