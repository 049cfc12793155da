"""What a run tells the world, in order: one stream of typed events.

``Event.to_json()`` is the NDJSON line of ``tea run --stream``. Events hold JSON values only. This module knows nothing
of terminals, queues or logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from the_edge_agent.inference import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Event:
    """Base. ``at_s`` is seconds since the epoch."""

    type: ClassVar[str] = "event"
    run_id: str
    at_s: float

    def to_json(self) -> dict[str, JsonValue]:
        """Flat JSON object, ``type`` first; tuples become lists."""
        values: dict[str, Any] = {"type": self.type}
        for entry in fields(self):
            values[entry.name] = getattr(self, entry.name)
        return values


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """``resumed`` is true when earlier work is taken from the log; ``notices`` says e.g. that the file has changed."""

    type: ClassVar[str] = "run_started"
    workflow: str = ""
    resumed: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeStarted(Event):
    """``address`` names this execution (see engine/address): the same one in every attempt, resume and replay."""

    type: ClassVar[str] = "node_started"
    node: str = ""
    address: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Token(Event):
    """A piece of streamed model text."""

    type: ClassVar[str] = "token"
    node: str = ""
    address: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class NodeFinished(Event):
    """``updates`` is what it changed in the state; ``from_log`` when it wasn't run but read; ``skipped`` by ``when``."""

    type: ClassVar[str] = "node_finished"
    node: str = ""
    address: str = ""
    updates: JsonObject = field(default_factory=dict[str, JsonValue])
    duration_s: float = 0.0
    from_log: bool = False
    skipped: bool = False
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeRetried(Event):
    """An attempt failed and another follows after ``wait_s``."""

    type: ClassVar[str] = "node_retried"
    node: str = ""
    address: str = ""
    attempt: int = 1
    wait_s: float = 0.0
    error: JsonObject = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class NodeErrorHandled(Event):
    """A node failed and its ``on_error`` took over: ``goto`` a node, or its fallback."""

    type: ClassVar[str] = "node_error_handled"
    node: str = ""
    address: str = ""
    goto: str | None = None
    error: JsonObject = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class BranchStarted(Event):
    """A branch of a parallel edge or an item of a dynamic_parallel."""

    type: ClassVar[str] = "branch_started"
    node: str = ""
    address: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class BranchFinished(Event):
    """``ok`` is false for a branch that failed or was cancelled."""

    type: ClassVar[str] = "branch_finished"
    node: str = ""
    address: str = ""
    index: int = 0
    ok: bool = True


@dataclass(frozen=True, slots=True)
class LoopIteration(Event):
    """A while_loop begins turn ``iteration`` (from 1)."""

    type: ClassVar[str] = "loop_iteration"
    node: str = ""
    address: str = ""
    iteration: int = 1


@dataclass(frozen=True, slots=True)
class LoopFinished(Event):
    """A while_loop ended after ``iterations``; ``exhausted`` when max_iterations stopped it."""

    type: ClassVar[str] = "loop_finished"
    node: str = ""
    address: str = ""
    iterations: int = 0
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Interrupted(Event):
    """The run waits for a person. ``question`` is typed: {kind, prompt, choices?, schema?, node, address}."""

    type: ClassVar[str] = "interrupted"
    node: str = ""
    address: str = ""
    question: JsonObject = field(default_factory=dict[str, JsonValue])
    state: JsonObject = field(default_factory=dict[str, JsonValue])
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """The run ended in an error: {name, what, place, fix}."""

    type: ClassVar[str] = "failed"
    node: str = ""
    address: str = ""
    error: JsonObject = field(default_factory=dict[str, JsonValue])
    state: JsonObject = field(default_factory=dict[str, JsonValue])
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The run is done; ``state`` is final."""

    type: ClassVar[str] = "finished"
    state: JsonObject = field(default_factory=dict[str, JsonValue])
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    duration_s: float = 0.0
