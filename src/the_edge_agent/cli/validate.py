"""``tea validate``: load agent files and report every problem of each; nothing runs."""

from __future__ import annotations

import argparse
from typing import Any

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

_EPILOG = """\
The loader is the one of `tea run`: a file that passes here is a file that starts there.

Examples:
  tea validate agent.yaml
  tea validate agents/*.yaml --json
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea validate``."""
    parser: Parser = subparsers.add_parser(
        "validate",
        help="check agent files",
        description="Check agent files and report every problem with its line and column.",
        epilog=_EPILOG,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="an agent file")
    parser.add_argument(
        "--allow-code", action="store_true", help="accept inline Python, as `tea run --allow-code` does"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for all files")
    parser.set_defaults(handler="the_edge_agent.cli.validate:validate")


def validate(args: argparse.Namespace, console: Console) -> int:
    """Check each file. Exits 2 once any can't be loaded."""
    from the_edge_agent.cli.errors import error_to_json, exit_code_of, render_error
    from the_edge_agent.cli.text import format_count
    from the_edge_agent.errors import EdgeAgentError
    from the_edge_agent.workflow.load import load_workflow

    code = 0
    reports: list[dict[str, Any]] = []
    for file in args.files:
        try:
            workflow = load_workflow(file, allow_code=args.allow_code)
        except EdgeAgentError as error:
            code = max(code, exit_code_of(error))
            told = error_to_json(error)
            problems = told.pop("problems", None) or [{key: told[key] for key in ("what", "place", "fix")}]
            reports.append({"file": file, "valid": False, "error": told["name"], "problems": problems})
            if not args.json:
                console.block(render_error(error))
            continue
        nodes = len(workflow.nodes)
        reports.append({"file": file, "valid": True, "name": workflow.name, "nodes": nodes, "problems": []})
        if not args.json:
            mark = console.style(console.symbol("done"), "green")
            said = f"{mark} {file}" if console.is_terminal else f"{file}: ok"
            console.out(f"{said} ({workflow.name}, {format_count(nodes, 'node')})")
    if args.json:
        console.json({"valid": code == 0, "files": reports})
    return code
