"""The caller's file of MCP servers, read strictly, and a real server called through it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from the_edge_agent.adapters.mcp_config import load_mcp_servers, parse_mcp_servers
from the_edge_agent.adapters.mcp_servers import McpServer
from the_edge_agent.app import App, AppOptions
from the_edge_agent.errors import UsageError
from the_edge_agent.settings import load_settings

SERVER = Path(__file__).with_name("mcp_server.py")
AGENT = """
name: adder
settings:
  permissions: {tools: [numbers]}
nodes:
  - name: add
    uses: mcp.call
    with: {server: numbers, tool: add, arguments: {a: 2, b: 40}}
    output: answer
"""


def test_commands_and_addresses_are_read() -> None:
    servers = parse_mcp_servers(
        {
            "mcpServers": {
                "a": {"command": "x", "args": ["-y"], "env": {"K": "v"}},
                "b": {"url": "http://h/mcp"},
            }
        },
        place="f.json",
    )
    assert servers["a"] == McpServer(command="x", args=("-y",), env={"K": "v"})
    assert servers["b"] == McpServer(url="http://h/mcp")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "mcpServers"),
        ({"mcpServers": {"a": 1}}, "mcpServers.a"),
        ({"mcpServers": {"a": {"comand": "x"}}}, "did you mean 'command'?"),
        ({"mcpServers": {"a": {}}}, "one of the two"),
        ({"mcpServers": {"a": {"command": "x", "url": "y"}}}, "one of the two"),
        ({"mcpServers": {"a": {"command": "x", "args": "-y"}}}, "args is a list"),
        ({"mcpServers": {"a": {"command": "x", "env": {"K": 1}}}}, "env is an object"),
    ],
)
def test_a_file_that_is_off_is_refused_with_the_entry_named(value: object, said: str) -> None:
    with pytest.raises(UsageError, match=r"f\.json") as caught:
        parse_mcp_servers(value, place="f.json")
    assert said in str(caught.value)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json"):
        load_mcp_servers(tmp_path / "none.json")


async def run_adder(tmp_path: Path, allowed: tuple[str, ...]) -> list[dict[str, Any]]:
    agent, config = tmp_path / "adder.yaml", tmp_path / "servers.json"
    agent.write_text(AGENT)
    config.write_text(
        json.dumps({"mcpServers": {"numbers": {"command": sys.executable, "args": [str(SERVER)]}}})
    )
    options = AppOptions(allow_tools=allowed, mcp_config=config, keep_log=False)
    environment = load_settings({"HOME": str(tmp_path)})
    async with App.open(options, environment) as app:
        return [event.to_json() async for event in app.run(app.load(agent))]


def test_a_tool_that_both_allow_is_called_on_a_real_server(tmp_path: Path) -> None:
    last = asyncio.run(run_adder(tmp_path, ("numbers",)))[-1]
    assert last["type"] == "finished"
    assert last["state"]["answer"] == {"result": 42}


def test_a_tool_that_the_caller_did_not_allow_is_never_called(tmp_path: Path) -> None:
    last = asyncio.run(run_adder(tmp_path, ()))[-1]
    assert last["type"] == "failed"
    assert last["error"]["name"] == "PermissionDenied"
