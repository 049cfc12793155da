import asyncio
import sys
from pathlib import Path

import pytest

from the_edge_agent.adapters.mcp_servers import McpServer, McpServers
from the_edge_agent.errors import ToolFailed

pytest.importorskip("mcp")
SERVERS = {
    "numbers": McpServer(sys.executable, (str(Path(__file__).with_name("mcp_server.py")),)),
    "nowhere": McpServer("/no/such/program"),
}


def test_a_server_lists_its_tools_and_answers_until_it_is_stopped() -> None:
    """One test for all that a server does: starting one takes a second."""

    async def main() -> None:
        async with McpServers(SERVERS) as servers:
            tools = {tool.name: tool for tool in await servers.tools("numbers")}
            assert tools["add"].description == "Adds two numbers."
            assert set(tools["add"].parameters["properties"]) == {"a", "b"}
            assert await servers.call("numbers", "add", {"a": 1, "b": 2}, timeout_s=30) == {"result": 3}
            both = await asyncio.gather(
                *[servers.call("numbers", "add", {"a": i, "b": i}, timeout_s=30) for i in range(5)]
            )
            assert both == [{"result": 2 * i} for i in range(5)]
            for tool, arguments in (("fail", {"reason": "r"}), ("missing", {}), ("add", {"a": "x"})):
                with pytest.raises(ToolFailed, match=rf"numbers\.{tool} failed"):
                    await servers.call("numbers", tool, arguments, timeout_s=30)
            with pytest.raises(ToolFailed, match="can't be called"):
                await servers.call("numbers", "stop", {}, timeout_s=30)
            assert await servers.call("numbers", "add", {"a": 1, "b": 2}, timeout_s=30) == {"result": 3}

    asyncio.run(main())


def test_a_server_that_is_not_there_is_an_error_that_says_so() -> None:
    async def main() -> None:
        async with McpServers(SERVERS) as servers:
            with pytest.raises(ToolFailed, match="'nowhere' can't be reached: FileNotFoundError"):
                await servers.call("nowhere", "add", {}, timeout_s=30)
            with pytest.raises(
                ToolFailed, match=r"no MCP server 'other' is configured; there are numbers, nowhere"
            ):
                await servers.tools("other")

    asyncio.run(main())
