"""``tea bundle sign``: a minisign signature beside an artifact."""

from __future__ import annotations

import argparse
from pathlib import Path

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers

_EPILOG = """\
`minisign -G -W -s release.key -p release.pub` makes a pair of keys that needs no password.

Examples:
  tea bundle sign agent.AppImage --secret-key release.key
  tea bundle verify agent.AppImage --public-key release.pub
"""


def add_verb(verbs: Subparsers) -> None:
    """Register the verb."""
    parser: Parser = verbs.add_parser(
        "sign", help="sign an artifact", description="Sign files with a minisign key.", epilog=_EPILOG
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what to sign")
    parser.add_argument(
        "--secret-key", required=True, type=Path, metavar="FILE", help="the minisign secret key"
    )
    parser.set_defaults(handler="the_edge_agent.cli.bundle_sign:sign")


def sign(args: argparse.Namespace, console: Console) -> int:
    """The signatures' paths go to stdout."""
    from the_edge_agent.bundle.sign import sign_file

    for path in args.files:
        console.out(str(sign_file(path, args.secret_key)))
    return 0
