"""The MCP server behind ``tea mcp serve``, over the official SDK. Stdout is the wire; everything else goes to stderr.

It translates between the SDK's types and ``agent_tools``; it knows nothing of how an agent runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolResult, ListToolsResult, TextContent, Tool

from the_edge_agent import __version__
from the_edge_agent.app import App
from the_edge_agent.cli.agent_tools import AgentTool, agent_tools, tool_text
from the_edge_agent.cli.closing import closing
from the_edge_agent.cli.console import Console
from the_edge_agent.cli.flags import app_options
from the_edge_agent.cli.interrupt import Stopped, run_until_stopped
from the_edge_agent.cli.outcome import Outcome
from the_edge_agent.cli.run_picture import RunPicture
from the_edge_agent.errors import EdgeAgentError, UsageError
from the_edge_agent.workflow.near import did_you_mean


def serve_stdio(args: argparse.Namespace, console: Console) -> int:
    """Load every file, then answer the client until it closes stdin."""
    try:
        run_until_stopped(_serve(args, console))
    except Stopped as stopped:
        return stopped.exit_code
    return 0


async def _serve(args: argparse.Namespace, console: Console) -> None:
    async with App.open(app_options(args)) as app:
        tools = agent_tools([app.load(file) for file in args.files])
        server = _server(app, {tool.name: tool for tool in tools})
        console.err(f"serving {', '.join(tool.name for tool in tools)} over stdin and stdout")
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())


def _server(app: App, tools: dict[str, AgentTool]) -> Server[Any]:
    async def list_tools(_context: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=_definitions(list(tools.values())))

    async def call_tool(_context: Any, params: Any) -> CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            fix = did_you_mean(params.name, tools)
            return _result(Outcome.of_error(UsageError(f"no tool {params.name!r}", fix=fix)))
        return _result(await _run(app, tool, params.arguments or {}))

    return Server("the-edge-agent", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)


async def _run(app: App, tool: AgentTool, arguments: dict[str, Any]) -> Outcome:
    picture = RunPicture()
    try:
        async with closing(app.run(tool.workflow, arguments)) as events:
            async for event in events:
                picture.see(event)
    except EdgeAgentError as error:
        return Outcome.of_error(error, picture.run_id)
    return picture.outcome()


def _definitions(tools: Sequence[AgentTool]) -> list[Tool]:
    return [
        Tool(name=tool.name, description=tool.description, input_schema=tool.parameters) for tool in tools
    ]


def _result(outcome: Outcome) -> CallToolResult:
    """Failures are results too, so that the model on the other side can read them."""
    return CallToolResult(
        content=[TextContent(text=tool_text(outcome))],
        structured_content=outcome.state if outcome.status == "finished" else None,
        is_error=outcome.status != "finished",
    )
