"""``tea bundle dir`` and ``tea bundle appimage``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers
from the_edge_agent.cli.text import format_bytes

if TYPE_CHECKING:
    from the_edge_agent.bundle.assemble import BuildOptions
    from the_edge_agent.bundle.plan import BundlePlan
    from the_edge_agent.bundle.workshop import Workshop

_DIR_EPILOG = """\
The folder runs where it lies: FOLDER/AppRun is `tea`, and FOLDER/AppRun run the agent.

Examples:
  tea bundle dir agent.yaml --output agent/
  tea bundle dir agent.yaml --line lite --model gemma-3-1b --output agent/
"""
_APPIMAGE_EPILOG = """\
Beside the file stand its lock, its bill of materials (CycloneDX), its chunk manifest, and SHA256SUMS.
Building again with --locked FILE.lock.json gives the same bytes, or says what differs.

Examples:
  tea bundle appimage agent.yaml --model gemma-3-1b
  tea bundle appimage agent.yaml other.yaml --model embedded --output dist/mine.AppImage
  tea bundle appimage agent.yaml --arch aarch64 --runtime runtime-aarch64 --runtime-sha256 9f86d0…
"""


def add_verb(verbs: Subparsers) -> None:
    """Register both verbs."""
    folder: Parser = verbs.add_parser(
        "dir",
        help="a folder that runs where it lies",
        description="Make a folder that runs where it lies.",
        epilog=_DIR_EPILOG,
    )
    add_plan_flags(folder)
    folder.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="the folder to make")
    folder.set_defaults(handler="the_edge_agent.cli.bundle_build:build_dir")
    image: Parser = verbs.add_parser(
        "appimage",
        help="one executable file",
        description="Make one executable file.",
        epilog=_APPIMAGE_EPILOG,
    )
    add_plan_flags(image)
    image.add_argument(
        "--output", type=Path, metavar="FILE", help="the file to make (default: named by its content)"
    )
    image.add_argument("--runtime", type=Path, metavar="FILE", help="another type-2 runtime than our own")
    image.add_argument("--runtime-sha256", metavar="DIGEST", help="what that file must be")
    image.set_defaults(handler="the_edge_agent.cli.bundle_build:build_appimage")


def add_plan_flags(parser: argparse.ArgumentParser) -> None:
    """What every kind of bundle is asked."""
    parser.add_argument(
        "agents", nargs="*", type=Path, metavar="AGENT", help="agent files; the first one is the default"
    )
    parser.add_argument(
        "--model",
        default="embedded",
        metavar="NAME",
        help="a model on this machine, by name or path; embedded (default), or none",
    )
    parser.add_argument(
        "--arch", default="", metavar="NAME", help="x86_64 or aarch64 (default: this machine's)"
    )
    parser.add_argument(
        "--line", default="full", metavar="NAME", help="full (default) or lite: agents and local models alone"
    )
    parser.add_argument("--locked", type=Path, metavar="FILE", help="take exactly the inputs of this lock")
    parser.add_argument(
        "--llama", type=Path, metavar="FOLDER", help="libllama for every CPU, instead of building it"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")


def build_dir(args: argparse.Namespace, console: Console) -> int:
    """``tea bundle dir``: the folder's path goes to stdout."""
    from the_edge_agent.bundle.assemble import make_dir

    plan, workshop, options = prepare(args)
    make_dir(plan, workshop, options, args.output, reporter(args, console))
    console.out(str(args.output))
    return 0


def build_appimage(args: argparse.Namespace, console: Console) -> int:
    """``tea bundle appimage``: the file's path goes to stdout."""
    from the_edge_agent.bundle.assemble import make_appimage
    from the_edge_agent.bundle.release import write_papers

    plan, workshop, options = prepare(args)
    target: Path = args.output or Path(f"{plan.name}.AppImage")
    on_step = reporter(args, console)
    lock = make_appimage(plan, workshop, options, target, on_step)
    write_papers(target, lock)
    on_step(f"{target.name}: {format_bytes(target.stat().st_size)}")
    console.out(str(target))
    return 0


def prepare(args: argparse.Namespace) -> tuple[BundlePlan, Workshop, BuildOptions]:
    """The flags as a plan, the place it is built in, and the rest. Raises UsageError, WorkflowInvalid, ModelNotFound."""
    import platform

    from the_edge_agent import __version__
    from the_edge_agent.bundle.assemble import BuildOptions
    from the_edge_agent.bundle.lock import load_lock
    from the_edge_agent.bundle.plan import plan_bundle
    from the_edge_agent.bundle.sources import find_model, read_agent
    from the_edge_agent.bundle.variants import find_architecture, find_line
    from the_edge_agent.bundle.workshop import open_workshop
    from the_edge_agent.cli.model_places import model_query
    from the_edge_agent.settings import load_settings

    environment = load_settings()
    workshop = open_workshop(environment.environ)
    plan = plan_bundle(
        [read_agent(path) for path in args.agents],
        find_model(args.model, model_query(environment)),
        find_line(args.line),
        find_architecture(args.arch or platform.machine()),
        __version__,
    )
    options = BuildOptions(
        llama=args.llama,
        locked=load_lock(args.locked) if args.locked else None,
        runtime=getattr(args, "runtime", None),
        runtime_sha256=getattr(args, "runtime_sha256", None),
    )
    return plan, workshop, options


def reporter(args: argparse.Namespace, console: Console) -> Callable[[str], None]:
    """Steps as lines on stderr, or nothing."""

    def tell(step: str) -> None:
        if not args.quiet:
            console.err(step)

    return tell
