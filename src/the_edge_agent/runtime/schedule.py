"""What the scheduler knows, what happens to it, and what it decides: frozen values. Knows no rule.

Times are seconds of one monotonic clock (``_at_s``) or spans (``_s``); memory is resident bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["unloaded", "loading", "ready", "stopping", "backoff", "failed"]
RefusalKind: TypeAlias = Literal["queue_full", "deadline", "failed", "too_large", "unloaded", "shutting_down"]

#: Phases in which a worker process holds memory, or is about to.
RESIDENT: frozenset[Phase] = frozenset({"loading", "ready", "stopping"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The rules' numbers. ``memory_bytes`` is what all workers may hold together."""

    memory_bytes: int
    queue_size: int = 512
    crash_limit: int = 5
    crash_window_s: float = 60.0
    backoff_s: float = 1.0
    """Pause before the second restart; it doubles with each crash in the window. The first restart is at once."""
    backoff_max_s: float = 30.0
    failed_retry_s: float = 600.0
    patience_s: float = 2.0
    """How long a request waits for a busy model to fall idle before that model stops taking younger requests."""
    drain_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the scheduler sees it. ``pinned`` models (operational ones among them) are never evicted."""

    name: str
    size_bytes: int
    """An estimate until a worker was measured, then what it held."""
    slots: int = 1
    pinned: bool = False
    keep_alive_s: float | None = 300.0
    """Idle seconds until it is unloaded; None keeps it."""
    phase: Phase = "unloaded"
    active: frozenset[int] = frozenset()
    last_used_at_s: float = 0.0
    retry_at_s: float = 0.0
    drain_at_s: float | None = None
    """Set while an unload waits for the active requests: the moment when it stops waiting."""
    crashed_at_s: tuple[float, ...] = ()
    failure: str = ""
    wanted: bool = False
    """Somebody asked for the model itself (start-up, LoadModel, a workflow's next node), not for an answer."""
    removed: bool = False
    service_s: float = 1.0
    """Moving average of how long a request holds a slot."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request in the queue. Lower ``priority`` goes first; within one, lower ``ticket``. ``started`` ones, whose
    worker died under them, go before all others.
    """

    ticket: int
    model: str
    priority: int = 0
    arrived_at_s: float = 0.0
    deadline_at_s: float | None = None
    started: bool = False

    @property
    def order(self) -> tuple[bool, int, int]:
        """Sort key."""
        return (not self.started, self.priority, self.ticket)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything the scheduler knows. ``waiting`` is in order; ``serving`` has the tickets that hold a slot."""

    limits: Limits
    models: Mapping[str, Model] = field(default_factory=lambda: MappingProxyType({}))
    waiting: tuple[Waiting, ...] = ()
    serving: Mapping[int, Served] = field(default_factory=lambda: MappingProxyType({}))
    shutting_down: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A request that holds a slot since ``admitted_at_s``."""

    request: Waiting
    admitted_at_s: float


# What happens.


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for an answer by one model."""

    ticket: int
    model: str
    priority: int = 0
    deadline_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A request is over: answered, failed, cancelled or its reader gone; in the queue or in a slot."""

    ticket: int


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The model's worker answers; ``size_bytes`` is what it holds now, 0 where that can't be measured."""

    model: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class WorkerMeasured:
    """What the model's worker holds at this moment."""

    model: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The worker died, hung or never got ready; it is reaped. ``permanent``: trying again at once is no use."""

    model: str
    failure: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """A stop that was decided is done; the process is reaped."""

    model: str


@dataclass(frozen=True, slots=True)
class LoadAsked:
    """Somebody wants the model itself. Forgives a failed one."""

    model: str


@dataclass(frozen=True, slots=True)
class Expected:
    """Somebody will probably ask for the model soon: load it where that takes nothing from anybody, or forget this."""

    model: str


@dataclass(frozen=True, slots=True)
class UnloadAsked:
    """Somebody wants the memory back; active requests may finish within ``drain_s``."""

    model: str


@dataclass(frozen=True, slots=True)
class ModelAdded:
    """A model is known from now on (or known differently: size, slots, pin, keep-alive)."""

    model: Model


@dataclass(frozen=True, slots=True)
class ModelRemoved:
    """A model is no longer configured: drained, stopped, forgotten."""

    model: str


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """The configuration was read again."""

    limits: Limits


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed; see ``scheduler.next_wakeup_s``."""


@dataclass(frozen=True, slots=True)
class ShutdownAsked:
    """Nothing new is taken in; who waits is refused; who is served may finish."""


Event: TypeAlias = (
    Asked
    | Ended
    | WorkerReady
    | WorkerMeasured
    | WorkerLost
    | WorkerStopped
    | LoadAsked
    | Expected
    | UnloadAsked
    | ModelAdded
    | ModelRemoved
    | LimitsChanged
    | Ticked
    | ShutdownAsked
)

# What is decided.


@dataclass(frozen=True, slots=True)
class Start:
    """Start the model's worker; answer with WorkerReady or WorkerLost."""

    model: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the model's worker; answer with WorkerStopped."""

    model: str
    why: str


@dataclass(frozen=True, slots=True)
class Admit:
    """The request may go to its model's worker now (again, if its last worker died)."""

    ticket: int
    model: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The request is over. ``retry_after_s`` is an estimate, 0 where trying again is no use."""

    ticket: int
    model: str
    kind: RefusalKind
    what: str
    retry_after_s: float = 0.0


Decision: TypeAlias = Start | Stop | Admit | Refuse
