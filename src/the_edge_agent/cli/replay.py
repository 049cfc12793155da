"""``tea replay``: repeat a run from its log, without a model, a network or a side effect."""

from __future__ import annotations

import argparse

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.flags import add_output_flags
from the_edge_agent.cli.parser import Parser, Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea replay``."""
    parser: Parser = subparsers.add_parser(
        "replay",
        help="repeat a run from its log",
        description=(
            "Repeat a run from its log. Every result is taken from the log: no model answers, nothing is sent or "
            "written. Fails with ReplayDiverged where the log does not hold what the agent asks for."
        ),
    )
    parser.add_argument("run_id", metavar="RUN_ID", help="the run (see `tea runs list`)")
    add_output_flags(parser)
    parser.set_defaults(handler="the_edge_agent.cli.replay:replay")


def replay(args: argparse.Namespace, console: Console) -> int:
    """Drive the repetition."""
    from the_edge_agent.cli.drive import drive

    return drive(args, console, lambda app, _ask: app.replay(args.run_id))
