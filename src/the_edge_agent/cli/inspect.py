"""``tea inspect``: an agent drawn as text, JSON, Graphviz or Mermaid."""

from __future__ import annotations

import argparse

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

FORMATS = ("text", "json", "dot", "mermaid")
_EPILOG = """\
Examples:
  tea inspect agent.yaml
  tea inspect agent.yaml --format mermaid
  tea inspect agent.yaml --format dot | dot -Tsvg > agent.svg
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea inspect``."""
    parser: Parser = subparsers.add_parser(
        "inspect",
        help="draw an agent",
        description="Draw an agent: its input, its nodes and where each goes.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE", help="the agent, a YAML file")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        metavar="FORMAT",
        help="text (default), json, dot or mermaid",
    )
    parser.add_argument(
        "--allow-code", action="store_true", help="accept inline Python, as `tea run --allow-code` does"
    )
    parser.set_defaults(handler="the_edge_agent.cli.inspect:inspect")


def inspect(args: argparse.Namespace, console: Console) -> int:
    """Load the file and print the drawing."""
    from the_edge_agent.workflow.load import load_workflow
    from the_edge_agent.workflow.render import render_workflow

    workflow = load_workflow(args.file, allow_code=args.allow_code)
    console.out(render_workflow(workflow, args.format).rstrip("\n"))
    return 0
