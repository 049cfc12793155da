"""``tea web serve``: serve a web bundle on this machine, with the headers that threads need."""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, Subparsers
from the_edge_agent.errors import UsageError

_EPILOG = """\
SITE is the archive that `tea bundle web` made, or the folder it unpacks to. Pages get COOP and COEP, so that the model
may use all threads, and a policy that lets no request leave this address.

Examples:
  tea bundle web agent.yaml --output site.tar.gz
  tea web serve site.tar.gz
  tea web serve site/ --port 9000 --open
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea web``."""
    parser: Parser = subparsers.add_parser(
        "web", help="agents in a browser tab", description="Agents in a browser tab."
    )
    verbs: Subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    serve_ = verbs.add_parser(
        "serve", help="serve a web bundle", description="Serve a web bundle on this machine.", epilog=_EPILOG
    )
    serve_.add_argument("site", type=Path, metavar="SITE", help="a web bundle: the .tar.gz, or a folder")
    serve_.add_argument(
        "--port", type=_port, default=8080, metavar="PORT", help="port (8080); 0 takes a free one"
    )
    serve_.add_argument(
        "--bind",
        default="127.0.0.1",
        metavar="HOST",
        help="address (127.0.0.1); browsers give pages from other addresses less room and one thread without HTTPS",
    )
    serve_.add_argument(
        "--no-isolation", action="store_true", help="leave out COOP and COEP, as many static hosts do"
    )
    serve_.add_argument("--open", action="store_true", help="open it in the browser")
    serve_.add_argument("--verbose", action="store_true", help="a line on stderr for each request")
    serve_.set_defaults(handler="the_edge_agent.cli.web:serve")


def serve(args: argparse.Namespace, console: Console) -> int:
    """Serve until Ctrl-C or SIGTERM; the address goes to stdout."""
    import signal
    import webbrowser

    from the_edge_agent.serving.web_server import serving

    stopped = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with (
        unpacked(args.site) as root,
        serving(
            root, host=args.bind, port=args.port, isolated=not args.no_isolation, verbose=args.verbose
        ) as server,
    ):
        console.out(server.url)
        console.err("Stop with Ctrl-C.")
        if args.open:
            webbrowser.open(server.url)
        stopped.wait()
    return 0


@contextmanager
def unpacked(site: Path) -> Generator[Path]:
    """The folder of a site; an archive is unpacked for as long as the block lasts. Raises UsageError."""
    if site.is_dir():
        yield site
        return
    if not site.exists():
        raise UsageError(
            "there is no such file or folder", place=str(site), fix="make one with `tea bundle web`"
        )
    with tempfile.TemporaryDirectory(prefix="tea-web-") as folder:
        try:
            with tarfile.open(site) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise UsageError(
                f"it can't be unpacked ({error})", place=str(site), fix="give what `tea bundle web` made"
            ) from None
        found = [entry for entry in Path(folder).iterdir() if entry.is_dir()]
        has_page = (Path(folder) / "index.html").is_file()
        yield Path(folder) if has_page or len(found) != 1 else found[0]


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise ValueError
    return value
