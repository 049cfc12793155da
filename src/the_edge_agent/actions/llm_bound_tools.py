"""Binds the tools of llm.tools to what runs them: actions of the workflow, and tools of MCP servers.

What a model may call is exactly this table, and what it may say is exactly a tool's declared parameters. How arguments
reach an action: ``with`` may hold ``$name`` (one argument) and ``$arguments`` (all of them) as whole values; without
any of these, arguments go to the action's parameters of the same name, below what ``with`` fixes. Knows no model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from the_edge_agent.actions.llm_messages import parse_tool
from the_edge_agent.actions.llm_request import closed_schema
from the_edge_agent.engine.action import ActionContext
from the_edge_agent.engine.params import checked_params
from the_edge_agent.engine.permissions import tool_allowed
from the_edge_agent.errors import ActionParamsInvalid, PermissionDenied
from the_edge_agent.inference import JsonObject, JsonValue, Tool
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.signatures import Signature

MCP_TIMEOUT_S = 60.0
_TOOL_KEYS = frozenset({"name", "description", "parameters", "uses", "with"})
_MCP_KEYS = frozenset({"mcp", "only"})
_JSON_TYPES = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
}


@dataclass(frozen=True, slots=True)
class BoundTool:
    """A tool and what runs it with checked arguments."""

    tool: Tool
    run: Callable[[JsonObject], Awaitable[JsonValue]]


async def bind_tools(listed: JsonValue, context: ActionContext) -> dict[str, BoundTool]:
    """Every tool by name.

    Raises:
        ActionParamsInvalid: a definition of the wrong shape, an unknown action or MCP tool, one name twice.
        PermissionDenied: an MCP tool that isn't permitted.
        SchemaUnsupported: parameters that can't be enforced.
    """
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise ActionParamsInvalid(
            "tools is no list of tools", fix="give {name, description, parameters, uses}"
        )
    bound: list[BoundTool] = []
    for index, entry in enumerate(listed):
        place = f"tools[{index}]"
        if not isinstance(entry, Mapping):
            raise ActionParamsInvalid(
                f"{place} is no object", fix="write {name, ..., uses: ACTION} or {mcp: SERVER}"
            )
        if "mcp" in entry:
            bound.extend(await _mcp_tools(entry, place, context))
        else:
            bound.append(_action_tool(entry, place, context))
    table: dict[str, BoundTool] = {}
    for entry in bound:
        if entry.tool.name in table:
            raise ActionParamsInvalid(
                f"two tools are called {entry.tool.name!r}", fix="rename one, or use `only`"
            )
        closed = closed_schema(entry.tool.parameters, f"tools.{entry.tool.name}")
        table[entry.tool.name] = replace(entry, tool=replace(entry.tool, parameters=closed))
    return table


def _action_tool(entry: JsonObject, place: str, context: ActionContext) -> BoundTool:
    _check_keys(entry, _TOOL_KEYS, place)
    uses, fixed = entry.get("uses"), entry.get("with") or {}
    if not isinstance(uses, str) or uses not in context.actions:
        raise ActionParamsInvalid(
            f"{place}: there is no action {uses!r}",
            fix=f"uses takes one of {', '.join(sorted(context.actions))}",
        )
    if not isinstance(fixed, Mapping):
        raise ActionParamsInvalid(f"{place}: with is no object", fix="write the action's parameters")
    signature = BUILTIN.get(uses)
    wired = _holds_argument(fixed)
    if entry.get("parameters") is None and not wired and signature is not None:
        entry = {**entry, "parameters": parameters_of(signature, fixed)}
    tool = parse_tool({"description": signature.help if signature else "", **entry}, place)
    if signature is not None:
        _check_raw(signature, fixed, tool, place, wired=wired)
    action = context.actions[uses]

    async def run(arguments: JsonObject) -> JsonValue:
        params: JsonObject = _filled(fixed, arguments) if wired else {**arguments, **fixed}
        return await action(params if signature is None else checked_params(signature, params), context)

    return BoundTool(tool, run)


def parameters_of(signature: Signature, fixed: JsonObject) -> JsonObject:
    """A tool's parameters as the action's signature has them, without what ``with`` fixes and without raw ones."""
    open_params = [param for param in signature.params if param.name not in fixed and not param.raw]
    properties: dict[str, JsonValue] = {}
    for param in open_params:
        types = [_JSON_TYPES[kind] for kind in param.types if kind in _JSON_TYPES]
        schema: dict[str, JsonValue] = {"description": param.help}
        if types and len(types) == len(param.types):
            schema["type"] = types[0] if len(types) == 1 else types
        if param.choices:
            schema["enum"] = list(param.choices)
        properties[param.name] = schema
    required = [param.name for param in open_params if param.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


async def _mcp_tools(entry: JsonObject, place: str, context: ActionContext) -> list[BoundTool]:
    _check_keys(entry, _MCP_KEYS, place)
    server, only, port = entry["mcp"], entry.get("only"), context.ports.mcp
    if not isinstance(server, str):
        raise ActionParamsInvalid(f"{place}: mcp is no server's name", fix="write mcp: NAME")
    if port is None:
        raise ActionParamsInvalid(
            f"{place}: this run has no MCP servers", fix="configure the server and allow it"
        )
    if only is not None and (not isinstance(only, Sequence) or isinstance(only, str)):
        raise ActionParamsInvalid(f"{place}: only is no list", fix="give the names of the server's tools")
    offered = {tool.name: tool for tool in await port.tools(server)}
    missing = [str(name) for name in only or () if name not in offered]
    if missing:
        raise ActionParamsInvalid(
            f"{place}: {server} has no tool {missing[0]!r}", fix=f"it offers {', '.join(sorted(offered))}"
        )
    wanted = [offered[str(name)] for name in only] if only is not None else list(offered.values())
    allowed = [tool for tool in wanted if tool_allowed(server, tool.name, context.permissions.tools)]
    if not allowed or (only is not None and len(allowed) < len(wanted)):
        name = next((tool.name for tool in wanted if tool not in allowed), "")
        raise PermissionDenied(
            f"the tool {server}.{name} isn't permitted",
            fix="name it under settings.permissions.tools and with --allow-tools",
        )
    return [BoundTool(tool, _mcp_runner(context, server, tool.name)) for tool in allowed]


def _mcp_runner(
    context: ActionContext, server: str, name: str
) -> Callable[[JsonObject], Awaitable[JsonValue]]:
    async def run(arguments: JsonObject) -> JsonValue:
        port = context.ports.mcp
        assert port is not None
        left = MCP_TIMEOUT_S if context.deadline_s is None else min(MCP_TIMEOUT_S, context.deadline_s)
        return await port.call(server, name, arguments, timeout_s=left)

    return run


def _check_keys(entry: JsonObject, allowed: frozenset[str], place: str) -> None:
    unknown = sorted(set(entry) - allowed)
    if unknown:
        raise ActionParamsInvalid(
            f"{place} has no key {unknown[0]!r}", fix=f"allowed: {', '.join(sorted(allowed))}"
        )


def _check_raw(signature: Signature, fixed: JsonObject, tool: Tool, place: str, *, wired: bool) -> None:
    """Templates and expressions are the author's: a model's words never become one."""
    declared = tool.parameters.get("properties", {})
    for param in signature.params:
        if not param.raw:
            continue
        value = fixed.get(param.name)
        by_model = _holds_argument(value) or (
            not wired and isinstance(declared, Mapping) and param.name in declared
        )
        if value is None or by_model:
            raise ActionParamsInvalid(
                f"{place}: {param.name} of {signature.name} must be fixed in `with`",
                fix="a model may not write it",
            )


def _holds_argument(value: JsonValue) -> bool:
    if isinstance(value, str):
        return value.startswith("$") and not value.startswith("$$")
    if isinstance(value, Mapping):
        return any(_holds_argument(entry) for entry in value.values())
    return isinstance(value, Sequence) and any(_holds_argument(entry) for entry in value)


def _filled(value: JsonValue, arguments: JsonObject) -> Any:
    """``with`` with the arguments put in; an argument that wasn't given leaves its key out (null in a list)."""
    if isinstance(value, str):
        if value.startswith("$$"):
            return value[1:]
        if value.startswith("$"):
            return dict(arguments) if value == "$arguments" else arguments.get(value[1:])
        return value
    if isinstance(value, Mapping):
        filled = {key: _filled(entry, arguments) for key, entry in value.items()}
        return {
            key: entry
            for key, entry in filled.items()
            if entry is not None or not _holds_argument(value[key])
        }
    if isinstance(value, Sequence):
        return [_filled(entry, arguments) for entry in cast("Sequence[JsonValue]", value)]
    return value
