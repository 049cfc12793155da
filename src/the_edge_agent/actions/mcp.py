"""mcp.call: one tool of an MCP server that the caller configured and permitted."""

from __future__ import annotations

from typing import Any

from the_edge_agent.engine.action import ActionContext
from the_edge_agent.engine.permissions import tool_allowed
from the_edge_agent.errors import PermissionDenied, ToolFailed
from the_edge_agent.inference import JsonObject, JsonValue

DEFAULT_TIMEOUT_S = 60.0


async def call(params: JsonObject, context: ActionContext) -> JsonValue:
    """What the tool returned. Raises PermissionDenied, ToolFailed."""
    server, tool = str(params["server"]), str(params["tool"])
    if not tool_allowed(server, tool, context.permissions.tools):
        raise PermissionDenied(
            f"this run may not call {server}.{tool}",
            fix=f"name it in settings.permissions.tools and allow it: --allow-tools {server}.{tool}",
        )
    port = context.ports.mcp
    if port is None:
        raise ToolFailed(
            f"no MCP server {server!r} is configured", fix="name a file of servers with --mcp FILE"
        )
    arguments: Any = params.get("arguments") or {}
    timeout_s: Any = params.get("timeout_s", DEFAULT_TIMEOUT_S)
    return await port.call(server, tool, arguments, timeout_s=min(timeout_s, context.deadline_s or timeout_s))
