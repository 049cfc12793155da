"""human.ask: puts a typed question to a person; the run waits, in another process if need be."""

from __future__ import annotations

from typing import Any

from the_edge_agent.engine.action import ActionContext
from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.inference import JsonObject, JsonValue


async def ask(params: JsonObject, context: ActionContext) -> JsonValue:
    """The answer. Raises ActionParamsInvalid for a choice without choices."""
    choices: Any = params.get("choices")
    kind = params.get("kind", "choice" if choices else "text")
    if kind == "choice" and not choices:
        raise ActionParamsInvalid("human.ask of kind choice has no choices", fix="list them in choices")
    if choices and kind != "choice":
        raise ActionParamsInvalid(f"human.ask of kind {kind} has choices", fix="use kind: choice")
    question = {name: params[name] for name in ("prompt", "choices", "schema", "context") if name in params}
    return await context.ask({"kind": kind, **question})
