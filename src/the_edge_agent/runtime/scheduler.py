"""Who is loaded, who is evicted, who is answered, who is refused: ``(schedule, event, now) → (schedule, decisions)``.

Pure: no clock, no process, no I/O; the manager carries decisions out and reports back as events. After each event the
same rules run in this order until nothing changes:

1. A failed model that is wanted for itself is tried again when its time has come. A deadline that passed, a failed model,
   or the daemon's end refuses who waits for it.
2. A drained, or idle and unpinned, model is stopped.
3. Requests are admitted in order (interrupted first, then priority, then arrival) where their model is ready and has a
   free slot; never past an older request that waits for that model's memory.
4. A model that somebody waits for gets memory, see ``placement``. Where only busy models are in the way, they take no
   younger requests after ``patience_s``, and fall idle in time.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import replace

from the_edge_agent.runtime.draft import Draft, may_idle_out, order_of, used_bytes
from the_edge_agent.runtime.placement import start_the_awaited, start_the_expected
from the_edge_agent.runtime.schedule import (
    RESIDENT,
    Admit,
    Asked,
    Decision,
    Ended,
    Event,
    Expected,
    LimitsChanged,
    LoadAsked,
    Model,
    ModelAdded,
    ModelRemoved,
    Refuse,
    Schedule,
    Served,
    ShutdownAsked,
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
    draft = _Scheduler(schedule, now_s)
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
        again = model.wanted or model.name in awaited if model.phase == "backoff" else model.wanted
        if model.phase in ("backoff", "failed") and again:
            moments.append(model.retry_at_s)
        if model.drain_at_s is not None and model.phase == "ready":
            moments.append(model.drain_at_s)
        if may_idle_out(model) and model.keep_alive_s is not None:
            moments.append(model.last_used_at_s + model.keep_alive_s)
        if model.active and not model.pinned:
            moments += [
                entry.arrived_at_s + patience_s
                for entry in waiting
                if schedule.models[entry.model].phase not in RESIDENT
            ]
    return min((moment for moment in moments if moment > now_s), default=None)


class _Scheduler(Draft):
    """A draft with the events and the rules on it."""

    # Events.

    def apply(self, event: Event) -> None:
        match event:
            case Asked():
                self._ask(event)
            case Ended(ticket):
                self._end(ticket)
            case WorkerReady(name, size_bytes) if name in self.models:
                held = size_bytes or self.models[name].size_bytes
                self.change(name, phase="ready", size_bytes=held, failure="", last_used_at_s=self.now_s)
            case WorkerMeasured(name, size_bytes) if (
                name in self.models and self.models[name].phase == "ready"
            ):
                self.change(name, size_bytes=size_bytes)
            case WorkerLost(name) if name in self.models and self.models[name].phase != "stopping":
                self._lose(self.models[name], event.failure, permanent=event.permanent)
            case WorkerLost(name) | WorkerStopped(name) if name in self.models:
                self._unload(name)
            case LoadAsked(name) if name in self.models:
                self._want(self.models[name])
            case Expected(name) if name in self.models:
                self._expect(self.models[name])
            case UnloadAsked(name) if name in self.models:
                self._drain(self.models[name])
            case ModelAdded(model):
                self._add(model)
            case ModelRemoved(name) if name in self.models:
                self._remove(name)
            case LimitsChanged(limits):
                self.limits = limits
                self._shrink()
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
            self.change(model.name, phase="unloaded")
        request = Waiting(event.ticket, event.model, event.priority, self.now_s, event.deadline_at_s)
        insort(self.waiting, request, key=order_of)

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
            self.change(
                model.name,
                active=model.active - {ticket},
                last_used_at_s=self.now_s,
                service_s=0.8 * model.service_s + 0.2 * took_s,
            )

    def _lose(self, model: Model, failure: str, *, permanent: bool) -> None:
        """A crash: who was served waits again, in front; the model restarts later, or is failed after too many."""
        self.requeue(model.name)
        recent = tuple(at for at in model.crashed_at_s if at > self.now_s - self.limits.crash_window_s)
        crashes = (*recent, self.now_s)
        if model.removed:
            self.forget(model.name)
        elif permanent or len(crashes) >= self.limits.crash_limit:
            retry_at_s = self.now_s + self.limits.failed_retry_s
            self.change(
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
            self.change(
                model.name,
                phase="backoff",
                failure=failure,
                crashed_at_s=crashes,
                retry_at_s=self.now_s + pause_s,
                drain_at_s=None,
            )

    def _unload(self, name: str) -> None:
        self.requeue(name)
        self.change(name, phase="unloaded", drain_at_s=None)
        if self.models[name].removed:
            self.forget(name)

    def _want(self, model: Model) -> None:
        forgiven = model.phase in ("failed", "backoff")
        self.change(
            model.name,
            wanted=True,
            drain_at_s=None,  # asked for again, it stays
            phase="unloaded" if forgiven else model.phase,
            crashed_at_s=() if forgiven else model.crashed_at_s,
        )

    def _expect(self, model: Model) -> None:
        """Spare it from making room for what is only expected, or look whether it may be loaded."""
        if model.phase == "ready":
            self.change(model.name, last_used_at_s=self.now_s)
        elif model.keep_alive_s is None or model.keep_alive_s > 0:
            self.expected = model.name

    def _drain(self, model: Model) -> None:
        if model.phase in ("loading", "ready"):
            self.change(model.name, wanted=False, drain_at_s=self.now_s + self.limits.drain_s)
        elif model.phase == "stopping":
            self.change(model.name, wanted=False)
        else:
            self.change(model.name, wanted=False, phase="unloaded", failure="", crashed_at_s=())

    def _add(self, model: Model) -> None:
        known = self.models.get(model.name)
        if known is None:
            self.models[model.name] = model
            return
        resident = known.phase in RESIDENT
        if known.phase in ("failed", "backoff"):  # what it is loaded with is another now
            known = replace(known, phase="unloaded", failure="", crashed_at_s=())
        self.models[model.name] = replace(
            known,
            size_bytes=known.size_bytes if resident else model.size_bytes,
            slots=model.slots,
            pinned=model.pinned,
            keep_alive_s=model.keep_alive_s,
            wanted=known.wanted or model.wanted,
            drain_at_s=None if known.removed else known.drain_at_s,
            removed=False,
        )

    def _shrink(self) -> None:
        """The limit may be lower now: idle models go, least recently used first, until the rest keeps to it."""
        excess_bytes = used_bytes(self.models.values()) - self.limits.memory_bytes
        idle = [model for model in self.models.values() if may_idle_out(model)]
        for model in sorted(idle, key=lambda m: (m.last_used_at_s, m.name)):
            if excess_bytes <= 0:
                return
            self.stop(model, "the memory limit is lower now")
            excess_bytes -= model.size_bytes

    def _remove(self, name: str) -> None:
        model = self.models[name]
        if model.phase in RESIDENT:
            self._drain(model)
            self.change(name, removed=True, pinned=False)
        else:
            self.forget(name)

    # Rules.

    def settle(self) -> None:
        self._forgive_the_wanted()
        self._refuse_the_hopeless()
        self._stop_the_idle()
        held_back = start_the_awaited(self)
        if self.expected:
            start_the_expected(self)
        self._admit(held_back)

    def _forgive_the_wanted(self) -> None:
        for model in tuple(self.models.values()):
            if model.phase == "failed" and model.wanted and model.retry_at_s <= self.now_s:
                self.change(model.name, phase="unloaded")

    def _refuse_the_hopeless(self) -> None:
        for entry in tuple(self.waiting):
            model = self.models[entry.model]
            if entry.deadline_at_s is not None and entry.deadline_at_s <= self.now_s:
                waited = f"waited {self.now_s - entry.arrived_at_s:.1f} s for {entry.model}"
                self.refuse(entry, "deadline", waited)
            elif self.shutting_down and not entry.started:
                self.refuse(entry, "shutting_down", "the daemon is stopping")
            elif model.phase == "failed":
                retry_after_s = max(1.0, math.ceil(model.retry_at_s - self.now_s))
                self.refuse(entry, "failed", f"{entry.model} failed: {model.failure}", retry_after_s)
            elif model.removed and not entry.started:
                self.refuse(entry, "unloaded", f"{entry.model} was taken out of the configuration")

    def _stop_the_idle(self) -> None:
        awaited = {entry.model for entry in self.waiting}
        for model in tuple(self.models.values()):
            if model.phase != "ready":
                continue
            if model.drain_at_s is not None:
                if not model.active:
                    self.stop(model, "unload was asked for")
                elif model.drain_at_s <= self.now_s:
                    self._cut_off(model)
            elif (
                may_idle_out(model)
                and model.keep_alive_s is not None
                and model.name not in awaited
                and model.last_used_at_s + model.keep_alive_s <= self.now_s
            ):
                self.stop(model, f"idle for {model.keep_alive_s:g} s")

    def _cut_off(self, model: Model) -> None:
        for ticket in sorted(model.active):
            request = self.serving.pop(ticket).request
            what = f"{model.name} was unloaded and the answer was not done after {self.limits.drain_s:g} s"
            self.decisions.append(Refuse(ticket, request.model, "unloaded", what))
        self.change(model.name, active=frozenset[int]())
        self.stop(self.models[model.name], "unload was asked for")

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
            self.change(model.name, active=model.active | {entry.ticket}, last_used_at_s=self.now_s)
            self.decisions.append(Admit(entry.ticket, entry.model))
