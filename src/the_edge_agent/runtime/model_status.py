"""A model inside the daemon: how it is started, what is counted about it, what people see of it. Values; no rules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from the_edge_agent.inference import BackendInfo
from the_edge_agent.runtime.schedule import Model
from the_edge_agent.runtime.worker_process import WorkerProcess
from the_edge_agent.runtime.worker_spec import WorkerSpec


@dataclass(frozen=True, slots=True)
class ManagedModel:
    """A model that may be loaded: how the scheduler sees it at first, and how its worker is started."""

    model: Model
    spec: WorkerSpec


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model as people see it. ``pid`` 0 where no worker runs."""

    name: str
    phase: str
    size_bytes: int
    pid: int
    active: int
    waiting: int
    slots: int
    pinned: bool
    info: BackendInfo
    loaded_at_s: float
    last_used_at_s: float
    """Seconds since the epoch, 0 for never."""
    requests: int
    tokens: int
    crashes: int
    resumed: int
    failure: str
    keep_alive_s: float | None


@dataclass(slots=True)
class Record:
    """What is counted about a model over all its workers."""

    spec: WorkerSpec
    info: BackendInfo
    worker: WorkerProcess | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    pid: int = 0
    ended: int = 0
    """Workers that were reaped, stopped or lost."""
    loaded_at_s: float = 0.0
    last_used_at_s: float = 0.0
    requests: int = 0
    tokens: int = 0
    crashes: int = 0
    resumed: int = 0
    log_lines: Sequence[str] = ()
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def status(self, model: Model, waiting: int) -> ModelStatus:
        """The model now; ``waiting`` requests want it."""
        return ModelStatus(
            name=model.name,
            phase=model.phase,
            size_bytes=model.size_bytes,
            pid=self.pid,
            active=len(model.active),
            waiting=waiting,
            slots=model.slots,
            pinned=model.pinned,
            info=self.info,
            loaded_at_s=self.loaded_at_s,
            last_used_at_s=self.last_used_at_s,
            requests=self.requests,
            tokens=self.tokens,
            crashes=self.crashes,
            resumed=self.resumed,
            failure=model.failure,
            keep_alive_s=model.keep_alive_s,
        )
