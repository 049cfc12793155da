"""``tea schema``: the JSON Schema of agent files, for editors."""

from __future__ import annotations

import argparse

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

_EPILOG = """\
Editors with a YAML language server check a file that begins with:
  # yaml-language-server: $schema=agent.schema.json

Examples:
  tea schema > agent.schema.json
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea schema``."""
    parser: Parser = subparsers.add_parser(
        "schema",
        help="print the JSON Schema of agent files",
        description="Print the JSON Schema that editors check agent files with.",
        epilog=_EPILOG,
    )
    parser.set_defaults(handler="the_edge_agent.cli.schema:schema")


def schema(args: argparse.Namespace, console: Console) -> int:
    """Print it, indented: it is a file that people keep."""
    from the_edge_agent.workflow.schema import schema_text

    del args
    console.out(schema_text().rstrip("\n"))
    return 0
