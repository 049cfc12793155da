"""Agents as tools: a workflow's name, description and input schema in the words of a tool definition. Pure.

It knows neither MCP nor how a tool is called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from the_edge_agent.cli.errors import render_event_error
from the_edge_agent.cli.outcome import Outcome
from the_edge_agent.cli.text import plain, yaml_text
from the_edge_agent.errors import UsageError
from the_edge_agent.workflow.input_schema import Field
from the_edge_agent.workflow.nodes import Workflow

MAX_NAME = 64


class AgentTool(NamedTuple):
    """One agent under a name that every tool protocol takes."""

    name: str
    description: str
    parameters: dict[str, Any]
    workflow: Workflow


def agent_tools(workflows: Sequence[Workflow]) -> tuple[AgentTool, ...]:
    """A tool for each workflow.

    Raises:
        UsageError: two agents would have one name.
    """
    tools: dict[str, AgentTool] = {}
    for workflow in workflows:
        name = tool_name(workflow)
        if name in tools:
            raise UsageError(
                f"{tools[name].workflow.file} and {workflow.file} are both called {name!r}",
                place="tea mcp serve",
                fix="give one of them another `name:`",
            )
        description = workflow.description or f"Runs the agent {workflow.name}."
        tools[name] = AgentTool(name, description, input_json_schema(workflow.input_schema), workflow)
    return tuple(tools.values())


def tool_name(workflow: Workflow) -> str:
    """The workflow's name with nothing in it but letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", workflow.name).strip("_")[:MAX_NAME] or "agent"


def input_json_schema(fields: Mapping[str, Field]) -> dict[str, Any]:
    """An ``input_schema`` as JSON Schema. Without declared fields anything may be given."""
    if not fields:
        return {"type": "object"}
    return _object(fields)


def tool_text(outcome: Outcome) -> str:
    """What the caller of the tool reads."""
    match outcome.status:
        case "finished":
            answer = outcome.state.get("answer")
            return yaml_text(outcome.state if answer is None else answer)
        case "failed":
            return render_event_error(outcome.error or {})
        case "interrupted":
            prompt = (outcome.question or {}).get("prompt", "an answer is needed")
            return (
                f"The agent waits for a person: {prompt}\n"
                f"Answer in a terminal with: tea resume {outcome.run_id} --answer TEXT"
            )
        case "stopped":
            return f"The run was stopped; it goes on with: tea resume {outcome.run_id}"


def _object(fields: Mapping[str, Field]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _field(entry) for name, entry in fields.items()},
        "additionalProperties": False,
    }
    required = [name for name, entry in fields.items() if entry.required and not entry.has_default]
    if required:
        schema["required"] = required
    return schema


def _field(entry: Field) -> dict[str, Any]:
    schema: dict[str, Any] = _object(entry.properties) if entry.properties else {}
    if entry.type != "any":
        schema["type"] = entry.type
    length = "Items" if entry.type == "array" else "Length"
    said = {
        "description": entry.description or None,
        "minimum": entry.min,
        "maximum": entry.max,
        f"min{length}": entry.min_length,
        f"max{length}": entry.max_length,
        "enum": plain(entry.choices) or None,
        "items": _field(entry.items) if entry.items is not None else None,
    }
    schema.update({key: value for key, value in said.items() if value is not None})
    if entry.has_default:
        schema["default"] = plain(entry.default)
    return schema
