"""``tea bundle verify``: is an artifact still what was built, and whose is it."""

from __future__ import annotations

import argparse
from pathlib import Path

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

_EPILOG = """\
Every chunk that differs is named, with what lies there. Exit code 1 where one does.

Examples:
  tea bundle verify agent.AppImage
  tea bundle verify agent.AppImage --public-key release.pub
"""


def add_verb(verbs: Subparsers) -> None:
    """Register the verb."""
    parser: Parser = verbs.add_parser(
        "verify",
        help="check an artifact, byte by byte",
        description="Check an artifact against its chunk manifest, and its signature.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the artifact")
    parser.add_argument(
        "--manifest", type=Path, metavar="FILE", help="its chunk manifest (default: the one beside it)"
    )
    parser.add_argument(
        "--public-key", metavar="KEY", help="check the signature too; a minisign key, or its file"
    )
    parser.set_defaults(handler="the_edge_agent.cli.bundle_check:verify")


def verify(args: argparse.Namespace, console: Console) -> int:
    """Print what differs, or that nothing does."""
    from the_edge_agent.bundle.check import check_artifact
    from the_edge_agent.bundle.sign import check_signature

    found = check_artifact(args.file, args.manifest)
    for place in found.bad:
        console.out(f"{args.file}: {place} differs")
    if not found.sound:
        console.err(f"{args.file}: {found.reason}; fetch it again")
        return 1
    if args.public_key:
        check_signature(args.file, args.public_key)
    signed = ", and signed by that key" if args.public_key else ""
    console.out(f"{args.file}: sound{signed}")
    return 0
