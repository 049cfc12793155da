"""The durable engine: plans, runs, logs, resumes and replays workflows. It knows no action and no adapter.

``run``, ``resume`` and ``replay`` are in ``engine.run``; with everything optional they are at the top of the package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from the_edge_agent.engine.events import Event
    from the_edge_agent.engine.memory_log import MemoryLog
    from the_edge_agent.engine.ports import Ports

#: Loaded when asked for: a reader of events needs no templates, and a command line starts quicker.
_HOMES = {"Event": "events", "MemoryLog": "memory_log", "Ports": "ports"}

__all__ = ["Event", "MemoryLog", "Ports"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
