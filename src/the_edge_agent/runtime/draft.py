"""A schedule being changed: mutable inside one ``decide``, never seen outside. Steps that keep it consistent; no rule.

Whoever stops a model, refuses a request or takes the requests of a lost worker back does it here, so that models, queue,
slots and decisions always tell the same story.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import replace

from the_edge_agent.runtime.schedule import (
    RESIDENT,
    Decision,
    Model,
    RefusalKind,
    Refuse,
    Schedule,
    Stop,
    Waiting,
)


def used_bytes(models: Iterable[Model]) -> int:
    """Memory that workers hold or are about to hold."""
    return sum(model.size_bytes for model in models if model.phase in RESIDENT)


def may_idle_out(model: Model) -> bool:
    """Whether it could be stopped without taking anything from a running answer."""
    return model.phase == "ready" and not model.active and not model.pinned


def order_of(entry: Waiting) -> tuple[bool, int, int]:
    """Its place in the queue."""
    return entry.order


class Draft:
    """Made from a schedule, changed by an event and the rules, and frozen again by ``finished``."""

    def __init__(self, schedule: Schedule, now_s: float) -> None:
        self.limits = schedule.limits
        self.models = dict(schedule.models)
        self.waiting = list(schedule.waiting)
        self.serving = dict(schedule.serving)
        self.shutting_down = schedule.shutting_down
        self.now_s = now_s
        self.decisions: list[Decision] = []
        self.expected = ""
        """A model that somebody expects to need; the rules look at it once."""

    def finished(self) -> tuple[Schedule, tuple[Decision, ...]]:
        """The schedule that it has become, and what was decided on the way."""
        schedule = Schedule(self.limits, self.models, tuple(self.waiting), self.serving, self.shutting_down)
        return schedule, tuple(self.decisions)

    def change(self, name: str, **changes: object) -> None:
        """Other values for some fields of a model."""
        self.models[name] = replace(self.models[name], **changes)  # pyright: ignore[reportArgumentType]

    def stop(self, model: Model, why: str) -> None:
        """Have its worker stopped. What was wanted for itself is no longer, unless it is pinned."""
        self.change(model.name, phase="stopping", wanted=model.wanted and model.pinned)
        self.decisions.append(Stop(model.name, why))

    def refuse(self, entry: Waiting, kind: RefusalKind, what: str, retry_after_s: float = 0.0) -> None:
        """Send a waiting request away."""
        self.waiting.remove(entry)
        self.decisions.append(Refuse(entry.ticket, entry.model, kind, what, retry_after_s))

    def requeue(self, name: str) -> None:
        """The model's worker is gone: who was served waits again, in front."""
        for ticket in sorted(self.models[name].active):
            served = self.serving.pop(ticket)
            insort(self.waiting, replace(served.request, started=True), key=order_of)
        self.change(name, active=frozenset[int]())

    def forget(self, name: str) -> None:
        """Take a model out; who waits for it is refused."""
        for entry in [entry for entry in self.waiting if entry.model == name]:
            self.refuse(entry, "unloaded", f"{name} was taken out of the configuration")
        del self.models[name]
