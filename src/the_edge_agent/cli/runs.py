"""``tea runs``: list, show, prune and mend the runs of this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

if TYPE_CHECKING:
    from the_edge_agent.adapters.run_store import RunSummary

STATUSES = ("running", "stopped", "interrupted", "failed", "finished")
_LIST_EPILOG = """\
running: a process drives it now. stopped: its process was ended; `tea resume` goes on. interrupted: it waits for a
person's answer. failed and finished: it ended.

Examples:
  tea runs list
  tea runs list --status interrupted --json
  tea runs list | cut -f1
"""
_PRUNE_EPILOG = """\
Runs that can still be resumed stay, unless they are named.

Examples:
  tea runs prune --older-than 30d
  tea runs prune 20261121-093012-4f1c2a
  tea runs prune --all --dry-run
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea runs``."""
    parser: Parser = subparsers.add_parser(
        "runs", help="the runs of this machine", description="The runs of this machine."
    )
    verbs: Subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    list_ = verbs.add_parser(
        "list", help="list runs", description="List runs, the latest first.", epilog=_LIST_EPILOG
    )
    list_.add_argument(
        "--status", choices=STATUSES, metavar="STATUS", help=f"only these: {', '.join(STATUSES)}"
    )
    list_.add_argument("--limit", type=_count, metavar="N", help="only the latest N")
    list_.add_argument("--json", action="store_true", help="a JSON list")
    list_.set_defaults(handler="the_edge_agent.cli.runs:list_runs")

    show = verbs.add_parser("show", help="show a run", description="Show what a run did and how it stands.")
    show.add_argument("run_id", metavar="RUN_ID", help="the run")
    show.add_argument("--json", action="store_true", help="one JSON object, with every record of its log")
    show.set_defaults(handler="the_edge_agent.cli.runs:show_run")

    prune = verbs.add_parser(
        "prune", help="remove runs", description="Remove runs that ended.", epilog=_PRUNE_EPILOG
    )
    prune.add_argument("run_ids", nargs="*", metavar="RUN_ID", help="remove these, however they stand")
    prune.add_argument(
        "--older-than", type=_age, metavar="AGE", help="runs that ended so long ago: 90m, 12h, 30d"
    )
    prune.add_argument("--all", action="store_true", help="every run that ended")
    prune.add_argument("--dry-run", action="store_true", help="only say which")
    prune.set_defaults(handler="the_edge_agent.cli.runs:prune_runs")

    mend = verbs.add_parser(
        "mend",
        help="make a damaged log usable",
        description="Drop the damaged end of a run's log, so that the run goes on from what is sound.",
    )
    mend.add_argument("run_id", metavar="RUN_ID", help="the run")
    mend.set_defaults(handler="the_edge_agent.cli.runs:mend_run")


def list_runs(args: argparse.Namespace, console: Console) -> int:
    """Print the list."""
    from the_edge_agent.app import open_run_store
    from the_edge_agent.cli.text import format_bytes

    store = open_run_store()
    chosen = [run for run in store.list() if args.status in (None, run.status)][: args.limit]
    if args.json:
        console.json([summary_json(run) for run in chosen])
        return 0
    if not chosen:
        console.err(f"no runs{f' that are {args.status}' if args.status else ''} in {store.path}")
        return 0
    rows = [
        (
            run.run_id,
            run.status,
            run.workflow,
            _moment(run.created_s, console),
            _moment(run.updated_s, console),
            format_bytes(run.size_bytes),
        )
        for run in chosen
    ]
    console.table(("RUN", "STATUS", "AGENT", "STARTED", "UPDATED", "LOG"), rows)
    return 0


def show_run(args: argparse.Namespace, console: Console) -> int:
    """Print one run. A damaged log is shown as far as it goes, and said."""
    from the_edge_agent.app import open_run_store
    from the_edge_agent.cli.text import plain

    details = open_run_store().show(args.run_id)
    if args.json:
        console.json({**summary_json(details.summary), "records": plain(details.records)})
        return 0
    from the_edge_agent.cli.run_report import report_lines

    for line in report_lines(details, console):
        console.out(line)
    return 0


def prune_runs(args: argparse.Namespace, console: Console) -> int:
    """Remove what was chosen, and print the names."""
    import time

    from the_edge_agent.app import open_run_store
    from the_edge_agent.cli.text import format_count
    from the_edge_agent.errors import UsageError

    chosen = (bool(args.run_ids), args.older_than is not None, args.all)
    if sum(chosen) != 1:
        raise UsageError(
            "nothing says which runs" if not any(chosen) else "two ways of choosing contradict each other",
            place="tea runs prune",
            fix="give run IDs, or --older-than AGE, or --all",
        )
    store = open_run_store()
    older_than_s = args.older_than or 0.0
    if args.dry_run:
        before_s = time.time() - older_than_s
        names = tuple(args.run_ids) or tuple(
            run.run_id
            for run in store.list()
            if run.status in ("finished", "failed") and run.updated_s <= before_s
        )
    elif args.run_ids:
        names = store.prune(run_ids=args.run_ids)
    else:
        names = store.prune(older_than_s=older_than_s)
    for name in names:
        console.out(name)
    console.err(f"{format_count(len(names), 'run')} {'would be ' if args.dry_run else ''}removed")
    return 0


def mend_run(args: argparse.Namespace, console: Console) -> int:
    """Cut the log where it is damaged."""
    from the_edge_agent.app import open_run_store
    from the_edge_agent.cli.text import format_count

    kept = open_run_store().cut(args.run_id)
    console.out(f"{args.run_id}: {format_count(kept, 'record')} kept")
    return 0


def summary_json(run: RunSummary) -> dict[str, Any]:
    """A run as programs read it; times are seconds since the epoch."""
    value: dict[str, Any] = {
        "id": run.run_id,
        "status": run.status,
        "agent": run.workflow,
        "created_s": run.created_s,
        "updated_s": run.updated_s,
        "records": run.records,
        "size_bytes": run.size_bytes,
    }
    if run.damage:
        value["damage"] = run.damage
    return value


def _moment(at_s: float, console: Console) -> str:
    """``5 min ago`` for a person, an ISO time in UTC for a program."""
    import time

    from the_edge_agent.cli.text import format_age

    if console.is_terminal:
        return format_age(time.time() - at_s)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give a whole number above 0")
    return int(text)


def _age(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.replace(".", "", 1).isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no age; write it like 90m, 12h or 30d")
    return float(number) * units[unit]
