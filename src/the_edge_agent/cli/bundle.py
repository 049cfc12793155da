"""``tea bundle``: one file or folder with an agent, its model and everything they need. The verbs are in ``bundle_*``."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from the_edge_agent.cli.parser import Parser, Subparsers

#: Modules with ``add_verb(verbs)``; a build without one of them lacks its verb.
VERB_MODULES = ("bundle_build", "bundle_docker", "bundle_web", "bundle_check", "bundle_parts", "bundle_sign")

_EPILOG = """\
Bundles are built in a checkout, on Debian 12; they run on any Linux of their architecture.

Examples:
  tea bundle appimage agent.yaml --model gemma-3-1b --output agent.AppImage
  tea bundle appimage agent.yaml --model embedded --arch aarch64
  tea bundle dir agent.yaml --model ~/models/mine.gguf --output agent/
  tea bundle verify agent.AppImage
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea bundle``."""
    parser: Parser = subparsers.add_parser(
        "bundle",
        help="make one file of an agent and its model",
        description="Make one file or folder of an agent, its model, and all they need.",
        epilog=_EPILOG,
    )
    verbs: Subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in VERB_MODULES:
        module = f"the_edge_agent.cli.{name}"
        if find_spec(module) is not None:
            import_module(module).add_verb(verbs)
