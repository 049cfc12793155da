"""``tea bundle split`` and ``tea bundle join``: artifacts in parts, for hosts that take no file over 2 GB."""

from __future__ import annotations

import argparse
from pathlib import Path

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

_SPLIT_EPILOG = """\
Beside the parts stand SHA256SUMS and a script that joins them where no tea is.

Examples:
  tea bundle split agent.AppImage
  tea bundle split agent.AppImage --output parts/ --part-size 500000000
"""
_JOIN_EPILOG = """\
Examples:
  tea bundle join agent.AppImage.part-001-of-003
"""


def add_verb(verbs: Subparsers) -> None:
    """Register both verbs."""
    split: Parser = verbs.add_parser(
        "split",
        help="cut an artifact into parts",
        description="Cut an artifact into parts.",
        epilog=_SPLIT_EPILOG,
    )
    split.add_argument("file", type=Path, metavar="FILE", help="the artifact; it stays")
    split.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where the parts go (default: beside it)"
    )
    split.add_argument(
        "--part-size",
        type=int,
        default=1_900_000_000,
        metavar="BYTES",
        help="bytes of a part (default: 1900000000)",
    )
    split.set_defaults(handler="the_edge_agent.cli.bundle_parts:split")
    join: Parser = verbs.add_parser(
        "join",
        help="make an artifact of its parts",
        description="Make an artifact of its parts.",
        epilog=_JOIN_EPILOG,
    )
    join.add_argument("part", type=Path, metavar="PART", help="any of the parts; the others lie beside it")
    join.add_argument("--output", type=Path, metavar="FILE", help="the artifact (default: beside the parts)")
    join.set_defaults(handler="the_edge_agent.cli.bundle_parts:join")


def split(args: argparse.Namespace, console: Console) -> int:
    """The parts' paths go to stdout."""
    from the_edge_agent.bundle.parts import split_file
    from the_edge_agent.errors import UsageError

    if args.part_size < 1:
        raise UsageError(f"{args.part_size} is no size", place="--part-size", fix="give bytes")
    for path in split_file(args.file, args.output or args.file.parent, args.part_size):
        console.out(str(path))
    return 0


def join(args: argparse.Namespace, console: Console) -> int:
    """The artifact's path goes to stdout."""
    from the_edge_agent.bundle.parts import join_parts

    console.out(str(join_parts(args.part, args.output)))
    return 0
