"""The daemon's figures in Prometheus' text format, and as the JSON that the status page draws. Knows nothing of HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from the_edge_agent import __version__
from the_edge_agent.runtime.daemon import Daemon
from the_edge_agent.runtime.model_status import ModelStatus

PHASES = ("unloaded", "loading", "ready", "stopping", "backoff", "failed")


#: Name, type, help and value of every figure that each model has.
MODEL_FAMILIES: tuple[tuple[str, str, str, Callable[[ModelStatus], float]], ...] = (
    (
        "tea_model_memory_bytes",
        "gauge",
        "Memory of the model's worker",
        lambda s: s.size_bytes if s.pid else 0,
    ),
    ("tea_model_active", "gauge", "Requests being answered", lambda s: s.active),
    ("tea_model_waiting", "gauge", "Requests that wait for it", lambda s: s.waiting),
    ("tea_model_slots", "gauge", "Requests it answers at a time", lambda s: s.slots),
    ("tea_model_requests_total", "counter", "Requests that are over", lambda s: s.requests),
    ("tea_model_tokens_total", "counter", "Tokens that left", lambda s: s.tokens),
    ("tea_model_crashes_total", "counter", "Workers lost", lambda s: s.crashes),
    ("tea_model_resumed_total", "counter", "Answers that went on after a lost worker", lambda s: s.resumed),
)


def status_tree(daemon: Daemon) -> dict[str, Any]:
    """Everything a person looks at: models, memory, queue, pace."""
    manager = daemon.manager
    return {
        "version": __version__,
        "ready": daemon.ready,
        "uptime_s": round(time.time() - daemon.started_at_s, 1),
        "queue": manager.queue_length,
        "queue_size": daemon.config.limits.queue_size,
        "tokens_per_s": round(manager.tokens_per_s(), 1),
        "memory_bytes": manager.memory_bytes,
        "used_bytes": manager.used_bytes,
        "standby": {"pid": manager.standby_pid, "size_bytes": manager.standby_bytes},
        "models": [model_tree(daemon, model.name) for model in daemon.registered()],
        "providers": [
            {"name": name, "model": provider.model}
            for name, provider in daemon.gateway.config.providers.items()
        ],
    }


def model_tree(daemon: Daemon, name: str) -> dict[str, Any]:
    """One model. Raises ModelNotFound."""
    status = daemon.manager.status(name)
    return {
        "name": name,
        "level": daemon.level(name),
        "phase": status.phase,
        "size_bytes": status.size_bytes,
        "pid": status.pid,
        "active": status.active,
        "waiting": status.waiting,
        "slots": status.slots,
        "pinned": status.pinned,
        "n_ctx": status.info.n_ctx,
        "features": sorted(status.info.features),
        "loaded_at_s": status.loaded_at_s,
        "last_used_at_s": status.last_used_at_s,
        "requests": status.requests,
        "tokens": status.tokens,
        "crashes": status.crashes,
        "resumed": status.resumed,
        "failure": status.failure,
        "keep_alive_s": status.keep_alive_s,
    }


def prometheus_text(daemon: Daemon) -> str:
    """Every figure with its type and help."""
    return "\n".join(_lines(daemon)) + "\n"


def _lines(daemon: Daemon) -> Iterator[str]:
    manager = daemon.manager
    statuses = manager.statuses()
    yield from _family(
        "tea_up",
        "gauge",
        "1 when the boot check has passed and no operational model is failed",
        [("", int(daemon.health == "ok"))],
    )
    yield from _family(
        "tea_uptime_seconds", "counter", "Since the start", [("", time.time() - daemon.started_at_s)]
    )
    yield from _family("tea_queue_length", "gauge", "Requests that wait", [("", manager.queue_length)])
    yield from _family(
        "tea_memory_limit_bytes", "gauge", "What workers may hold", [("", manager.memory_bytes)]
    )
    yield from _family("tea_memory_used_bytes", "gauge", "What workers hold", [("", manager.used_bytes)])
    yield from _family(
        "tea_standby_memory_bytes",
        "gauge",
        "What the process that waits for a model holds beside them",
        [("", manager.standby_bytes)],
    )
    yield from _family("tea_tokens_per_second", "gauge", "Over the last 5 s", [("", manager.tokens_per_s())])
    for name, kind, help_, value in MODEL_FAMILIES:
        yield from _family(name, kind, help_, [(f'{{model="{s.name}"}}', value(s)) for s in statuses])
    phases = [
        (f'{{model="{status.name}",phase="{phase}"}}', int(status.phase == phase))
        for status in statuses
        for phase in PHASES
    ]
    yield from _family("tea_model_phase", "gauge", "1 for the phase the model is in", phases)
    if daemon.gateway.config.providers:
        spending = daemon.gateway.spending()
        yield from _family("tea_gateway_usd_total", "counter", "Spent this month", [("", spending.usd)])
        yield from _family("tea_gateway_tokens_total", "counter", "Used this month", [("", spending.tokens)])


def _family(name: str, kind: str, help_: str, samples: Sequence[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {name} {help_}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{labels} {value:g}" if isinstance(value, float) else f"{name}{labels} {value}"
