"""Fakes that ship: use them in tests of your own agents.

``ScriptedBackend`` answers from a script instead of a model; see docs/backends.md. Names are imported when they are
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from the_edge_agent.backends.scripted import ScriptedAnswer, ScriptedBackend, tool_call

__all__ = ["ScriptedAnswer", "ScriptedBackend", "tool_call"]

_HOMES = {
    "ScriptedAnswer": "the_edge_agent.backends.scripted",
    "ScriptedBackend": "the_edge_agent.backends.scripted",
    "tool_call": "the_edge_agent.backends.scripted",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
