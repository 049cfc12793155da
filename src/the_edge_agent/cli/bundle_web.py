"""``tea bundle web``: agents and a model as a web site that runs them in the visitor's browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers
from the_edge_agent.cli.text import format_bytes

_EPILOG = """\
The site is static files: `tea web serve` serves it here, any static host elsewhere. Nothing that a visitor writes leaves
the visitor's browser. Without AGENT, the examples go in. Build the web package first: npm install && npm run build (in web/).

Examples:
  tea bundle web agent.yaml --output site.tar.gz
  tea bundle web agent.yaml --model gemma-3-1b --output site/
  tea bundle web --model none            visitors bring their own GGUF file
"""


def add_verb(verbs: Subparsers) -> None:
    """Register the verb."""
    parser: Parser = verbs.add_parser(
        "web",
        help="a web site that runs them in the browser",
        description="Make a web site that runs agents in the visitor's browser.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "agents", nargs="*", type=Path, metavar="AGENT", help="agent files; the first one is shown first"
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a model on this machine, by name or path; embedded (default), or none; may be given again",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="a folder, or an archive where it ends in .tar.gz (default: tea-wasm-llm-VERSION.tar.gz)",
    )
    parser.add_argument(
        "--part-size",
        type=_mebibytes,
        default=None,
        metavar="MIB",
        help="cut the model into files of at most this many MiB (24)",
    )
    parser.add_argument(
        "--dist",
        type=Path,
        metavar="FOLDER",
        help="the built web package (default: web/dist of the checkout)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(handler="the_edge_agent.cli.bundle_web:build_web")


def build_web(args: argparse.Namespace, console: Console) -> int:
    """The path of what was made goes to stdout."""
    import tempfile

    from the_edge_agent import __version__
    from the_edge_agent.bundle.checksums import digest_of, write_sums
    from the_edge_agent.bundle.sources import find_model, read_agent
    from the_edge_agent.bundle.web import WebBuild, make_site, pack_site
    from the_edge_agent.bundle.web_model import DEFAULT_PART_BYTES
    from the_edge_agent.bundle.workshop import open_workshop
    from the_edge_agent.cli.model_places import model_query
    from the_edge_agent.settings import load_settings

    environment = load_settings()
    workshop = open_workshop(environment.environ)
    files = args.agents or sorted((workshop.source / "examples" / "llm").glob("*.yaml"))
    query = model_query(environment)
    found = [find_model(name, query) for name in args.model or ["embedded"]]
    build = WebBuild(
        agents=tuple(read_agent(path) for path in files),
        models=tuple(model for model in found if model is not None),
        version=__version__,
        source=workshop.source,
        dist=args.dist or workshop.source / "web" / "dist",
        part_bytes=args.part_size or DEFAULT_PART_BYTES,
    )
    target: Path = args.output or Path(f"{build.name}.tar.gz")
    if not target.name.endswith((".tar.gz", ".tgz")):
        make_site(build, target)
    else:
        with tempfile.TemporaryDirectory(prefix="tea-web-") as scratch:
            folder = Path(scratch) / build.name
            make_site(build, folder)
            pack_site(folder, target, name=build.name, epoch_s=workshop.epoch_s)
        write_sums(target.parent, {target.name: digest_of(target)})
        if not args.quiet:
            console.err(f"{target.name}: {format_bytes(target.stat().st_size)}")
    console.out(str(target))
    return 0


def _mebibytes(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value * 1024 * 1024
