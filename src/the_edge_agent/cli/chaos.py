"""``tea chaos``: break things on purpose and watch them hold."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

_EPILOG = """\
A server on this machine drops, stalls, lies and redirects; pullers are killed with -9 and started again. Nothing leaves
this machine and nothing of yours is touched. Exit code 1 where something happened that must not.

Examples:
  tea chaos download
  tea chaos download --rounds 500 --seed 7 --json
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea chaos``."""
    parser: Parser = subparsers.add_parser(
        "chaos",
        help="break things on purpose and watch them hold",
        description="Break things on purpose and watch them hold.",
    )
    verbs: Subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    download = verbs.add_parser(
        "download",
        help="pull models under random faults and kill -9",
        description="Pull models from a server that fails at random, with pullers that are killed at random.",
        epilog=_EPILOG,
    )
    download.add_argument("--rounds", type=int, default=20, metavar="N", help="how many pulls (20)")
    download.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the same seed draws the same faults (1)"
    )
    download.add_argument("--json", action="store_true", help="one JSON object")
    download.set_defaults(handler="the_edge_agent.cli.chaos:chaos_download")


def chaos_download(args: argparse.Namespace, console: Console) -> int:
    """``tea chaos download``."""
    import tempfile
    from pathlib import Path

    from the_edge_agent.testing.chaos_download import run_chaos

    with (
        tempfile.TemporaryDirectory(prefix="tea-chaos-") as folder,
        console.progress("pulls under faults", args.rounds, unit="pulls") as bar,
    ):
        report = run_chaos(
            Path(folder) / "round",
            args.rounds,
            seed=args.seed,
            on_round=lambda report: bar.update(report.rounds),
        )
    if args.json:
        console.json({**asdict(report), "held": report.held})
        return 0 if report.held else 1
    console.table(
        ("WHAT", "HOW OFTEN"),
        [
            ("pulls", str(report.rounds)),
            ("ended in the right file", str(report.succeeded)),
            *((f"ended in {name}", str(count)) for name, count in sorted(report.failed.items())),
            ("killed with -9 and started again", str(report.kills)),
            *((f"server: {name}", str(count)) for name, count in sorted(report.faults.items())),
            ("wrong file accepted", str(report.wrong_files)),
            ("finished chunk fetched twice", str(report.chunks_fetched_twice)),
            ("error without a type", str(len(report.untyped_errors))),
            ("path outside the store written", str(report.paths_outside)),
        ],
    )
    return 0 if report.held else 1
