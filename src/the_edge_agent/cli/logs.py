"""``tea logs``: a run's log, record by record, also while another process still writes it."""

from __future__ import annotations

import argparse

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

POLL_S = 0.3
_EPILOG = """\
Examples:
  tea logs 20261121-093012-4f1c2a
  tea logs 20261121-093012-4f1c2a --follow
  tea logs 20261121-093012-4f1c2a --json | jq 'select(.kind == "node")'
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea logs``."""
    parser: Parser = subparsers.add_parser(
        "logs",
        help="a run's log",
        description="Print what a run committed, record by record.",
        epilog=_EPILOG,
    )
    parser.add_argument("run_id", metavar="RUN_ID", help="the run (see `tea runs list`)")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on printing until nobody drives the run"
    )
    parser.add_argument("--json", action="store_true", help="each record as a line of JSON")
    parser.set_defaults(handler="the_edge_agent.cli.logs:logs")


def logs(args: argparse.Namespace, console: Console) -> int:
    """Print the records there are, then those that come."""
    import time

    from the_edge_agent.app import open_run_store
    from the_edge_agent.cli.console import json_text
    from the_edge_agent.cli.run_report import record_line
    from the_edge_agent.cli.text import plain

    store = open_run_store()
    shown = 0
    while True:
        details = store.show(args.run_id)
        for record in details.records[shown:]:
            shown += 1
            console.out(json_text(plain(record)) if args.json else record_line(shown, record, console))
        if details.summary.damage:
            console.err(f"the log is damaged: {details.summary.damage}; see `tea runs mend --help`")
            return 1
        if not args.follow or details.summary.status != "running":
            return 0
        time.sleep(POLL_S)
