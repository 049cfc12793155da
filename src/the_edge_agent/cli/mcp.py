"""``tea mcp serve``: offer agents as tools to MCP clients, over stdin and stdout."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.flags import add_backend_flags, add_permission_flags
from the_edge_agent.cli.parser import Parser, Subparsers
from the_edge_agent.errors import BackendNotInstalled

_EPILOG = """\
Each agent becomes a tool: its name, its description and its input_schema are the tool's. The tool's result is what
`tea run` would print. Every call is a run of its own, in the log like any other.

In an MCP client's configuration:
  {"command": "tea", "args": ["mcp", "serve", "/path/to/agent.yaml"]}

Examples:
  tea mcp serve agents/summarize.yaml agents/classify.yaml
  tea mcp serve research.yaml --allow-net example.com --gguf ~/models/gemma.gguf
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea mcp``."""
    parser: Parser = subparsers.add_parser("mcp", help="agents as MCP tools", description="Agents and MCP.")
    verbs: Subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    serve = verbs.add_parser(
        "serve",
        help="offer agents as tools",
        description="Offer agents as tools to an MCP client, over stdin and stdout.",
        epilog=_EPILOG,
    )
    serve.add_argument("files", nargs="+", metavar="FILE", help="an agent file; each becomes a tool")
    add_backend_flags(serve)
    add_permission_flags(serve)
    serve.add_argument("--no-log", action="store_true", help="keep no log of the runs")
    serve.set_defaults(handler="the_edge_agent.cli.mcp:serve")


def serve(args: argparse.Namespace, console: Console) -> int:
    """Serve until the client goes away."""
    if find_spec("mcp") is None:
        raise BackendNotInstalled(
            "the MCP SDK isn't installed", place="tea mcp serve", fix="pip install 'the-edge-agent[mcp]'"
        )
    from the_edge_agent.cli.mcp_server import serve_stdio

    return serve_stdio(args, console)
