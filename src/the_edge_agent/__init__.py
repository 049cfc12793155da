"""The Edge Agent: LLM agents that run offline, on any machine, from one file.

``Workflow.load(path)`` reads an agent file, ``async for event in run(workflow, input)`` runs it, ``RunStore`` keeps
runs that can be resumed. Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

# What typing.TYPE_CHECKING is, without the milliseconds that importing typing takes; checkers know the name.
TYPE_CHECKING = False

__version__ = "0.1.0"

if TYPE_CHECKING:
    from the_edge_agent.adapters.run_store import RunStore
    from the_edge_agent.app import App, AppOptions, replay, resume, run
    from the_edge_agent.errors import EdgeAgentError
    from the_edge_agent.workflow.nodes import Workflow

__all__ = [
    "App",
    "AppOptions",
    "EdgeAgentError",
    "RunStore",
    "Workflow",
    "__version__",
    "replay",
    "resume",
    "run",
]

_HOMES = {
    "App": "the_edge_agent.app",
    "AppOptions": "the_edge_agent.app",
    "EdgeAgentError": "the_edge_agent.errors",
    "RunStore": "the_edge_agent.adapters.run_store",
    "Workflow": "the_edge_agent.workflow.nodes",
    "replay": "the_edge_agent.app",
    "resume": "the_edge_agent.app",
    "run": "the_edge_agent.app",
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
