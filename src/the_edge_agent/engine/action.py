"""The action protocol: an async function of rendered parameters and a context. Knows no particular action."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from the_edge_agent.engine.ports import BackendResolver, Ports
from the_edge_agent.inference import JsonObject, JsonValue, Usage
from the_edge_agent.workflow.nodes import Permissions, Settings


@dataclass(slots=True)
class CallReport:
    """What an action tells beside its result; the engine puts it into node_finished and the log."""

    usage: Usage = field(default_factory=Usage)
    notices: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class ActionContext:
    """Everything an action may use.

    ``emit_token`` streams text of the node (a no-op unless somebody listens). ``ask`` stops the run with a question
    and returns the answer, in this process or another. ``call_action`` runs another action with the same context
    (tools of llm.tools). ``base_dir`` is the agent file's folder. ``deadline_s`` is what is left of timeout_s.
    ``seed`` is this execution's own, derived from the run's seed and the address (two turns of a loop draw differently,
    and the same in every repetition); None where the run has none. ``workflow`` is the workflow's name.
    """

    run_id: str
    node: str
    address: str
    place: str
    settings: Settings
    permissions: Permissions
    ports: Ports
    backends: BackendResolver | None
    emit_token: Callable[[str], None]
    ask: Callable[[JsonObject], Awaitable[JsonValue]]
    report: CallReport
    scope: Mapping[str, Any]
    base_dir: str = "."
    deadline_s: float | None = None
    stream: bool = False
    actions: Mapping[str, Action] = field(default_factory=dict[str, "Action"])
    seed: int | None = None
    workflow: str = ""


#: ``params`` are rendered and checked against the signature (types, required, choices) before the call.
Action: TypeAlias = Callable[[JsonObject, ActionContext], Awaitable[JsonValue]]
Actions: TypeAlias = Mapping[str, Action]
