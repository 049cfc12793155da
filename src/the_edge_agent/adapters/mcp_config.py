"""Which MCP servers there are: the caller's JSON file, in the shape that other MCP clients read too.

``{"mcpServers": {"notes": {"command": "notes-server", "args": ["--read-only"], "env": {"LEVEL": "1"}},
"search": {"url": "http://127.0.0.1:8000/mcp"}}}``. An agent file can only name a server of this file, never add one.
This module starts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from the_edge_agent.adapters.mcp_servers import McpServer
from the_edge_agent.errors import Problem, UsageError
from the_edge_agent.workflow.near import did_you_mean

_KEYS = ("command", "args", "env", "url")


def load_mcp_servers(path: Path) -> Mapping[str, McpServer]:
    """The servers of a file. Raises UsageError naming the file and the entry."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"it can't be read: {error.strerror}", place=str(path), fix="check the path"
        ) from error
    except ValueError as error:
        raise UsageError(f"this is no JSON: {error}", place=str(path), fix="see docs/mcp.md") from error
    return parse_mcp_servers(value, place=str(path))


def parse_mcp_servers(value: object, *, place: str) -> Mapping[str, McpServer]:
    """The servers of a JSON value. Raises UsageError."""
    servers = value.get("mcpServers") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(servers, dict):
        raise UsageError('it needs an object "mcpServers"', place=place, fix="see docs/mcp.md")
    entries = cast("dict[str, Any]", servers)
    return {name: _server(entry, f"{place}: mcpServers.{name}") for name, entry in entries.items()}


def _server(entry: object, place: str) -> McpServer:
    if not isinstance(entry, dict):
        raise UsageError("a server is an object", place=place, fix=f"give it {', '.join(_KEYS)}")
    given = cast("dict[str, Any]", entry)
    for key in given:
        if key not in _KEYS:
            raise UsageError(f"unknown key {key!r}", place=place, fix=did_you_mean(key, _KEYS))
    command, url = given.get("command", ""), given.get("url", "")
    if bool(command) == bool(url):
        raise UsageError("a server has a command or a url, one of the two", place=place, fix="give one")
    arguments, env = given.get("args", []), given.get("env", {})
    problem = _wrong(command, url, arguments, env)
    if problem:
        raise UsageError(problem.what, place=place, fix=problem.fix)
    return McpServer(command=command, args=tuple(arguments), env=dict(env), url=url)


def _wrong(command: object, url: object, arguments: object, env: object) -> Problem | None:
    if not isinstance(command, str) or not isinstance(url, str):
        return Problem("command and url are texts", fix="quote them")
    if not isinstance(arguments, list) or not all(
        isinstance(item, str) for item in cast("list[object]", arguments)
    ):
        return Problem("args is a list of texts", fix='write it like ["--read-only"]')
    if not isinstance(env, dict) or not all(
        isinstance(item, str) for item in cast("dict[str, object]", env).values()
    ):
        return Problem("env is an object of texts", fix='write it like {"LEVEL": "1"}')
    return None
