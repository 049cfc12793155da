"""``tea diff``: where two runs part."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

if TYPE_CHECKING:
    from the_edge_agent.engine.diff import Difference

MAX_SHOWN = 50
MAX_VALUE_CHARS = 300
_EPILOG = """\
Exits 0 when the runs are alike and 1 when they differ, as diff(1) does. The first difference is where they part; what
follows is mostly its consequence.

Examples:
  tea diff 20261121-093012-4f1c2a 20261121-094410-77be01
  tea diff before after --json
"""
_WORDS = {
    "workflow": "the agent's text differs",
    "input": "the input differs",
    "variables": "the variables differ",
    "seed": "the seed differs",
    "result": "came to another result",
    "route": "went on elsewhere",
    "missing": "ran only in the first",
    "extra": "ran only in the second",
    "end": "they ended differently",
}


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea diff``."""
    parser: Parser = subparsers.add_parser(
        "diff", help="compare two runs", description="Show where two runs part.", epilog=_EPILOG
    )
    parser.add_argument("run_a", metavar="RUN_A", help="a run (see `tea runs list`)")
    parser.add_argument("run_b", metavar="RUN_B", help="another run")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(handler="the_edge_agent.cli.diff:diff")


def diff(args: argparse.Namespace, console: Console) -> int:
    """Print the differences."""
    from the_edge_agent.app import open_run_store
    from the_edge_agent.cli.text import format_count, plain
    from the_edge_agent.engine.diff import diff_runs

    store = open_run_store()
    found = diff_runs(store.read(args.run_a), store.read(args.run_b))
    if args.json:
        differences = [plain(difference.to_json()) for difference in found.differences]
        console.json({"alike": not differences, "common": found.common, "differences": differences})
    else:
        console.out(f"{format_count(found.common, 'execution')} came out alike")
        for difference in found.differences[:MAX_SHOWN]:
            for line in _lines(difference, console):
                console.out(line)
        if len(found.differences) > MAX_SHOWN:
            console.out(
                f"{console.symbol('more')} and {len(found.differences) - MAX_SHOWN:,} more differences"
            )
        if not found.differences:
            console.out("the runs are alike")
    return 1 if found.differences else 0


def _lines(difference: Difference, console: Console) -> list[str]:
    place = f"{difference.at}: " if difference.at else ""
    lines = [console.style(f"{place}{_WORDS[difference.kind]}", "bold")]
    if difference.a is not None:
        lines.append(console.style(f"  - {_short(difference.a)}", "red"))
    if difference.b is not None:
        lines.append(console.style(f"  + {_short(difference.b)}", "green"))
    return lines


def _short(value: Any) -> str:
    from the_edge_agent.cli.console import json_text
    from the_edge_agent.cli.text import clip, plain

    return clip(json_text(plain(value)), MAX_VALUE_CHARS)
