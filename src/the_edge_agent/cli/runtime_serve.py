"""``tea runtime serve | check``: the daemon itself in this process, and its configuration without it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from the_edge_agent.cli.runtime_call import check_unix_sockets

if TYPE_CHECKING:
    from the_edge_agent.cli.console import Console


def serve(args: argparse.Namespace, console: Console) -> int:
    """Run the daemon until it is told to stop."""
    import asyncio
    import logging
    import signal

    from the_edge_agent.errors import BackendNotInstalled, UsageError
    from the_edge_agent.settings import load_settings

    check_unix_sockets()
    # Until the server takes it: the file is read anyway. Not SIG_IGN, which workers would inherit.
    signal.signal(signal.SIGHUP, _ignore)
    for name in ("http_port", "grpc_port"):
        port = getattr(args, name)
        if port is not None and not 0 <= port <= 65535:
            raise UsageError(f"--{name.replace('_', '-')} is {port}", fix="give a port from 0 to 65535")
    try:
        from the_edge_agent.serving.server import ServeOptions
        from the_edge_agent.serving.server import serve as serve_until_stopped
    except ImportError as error:
        raise BackendNotInstalled(
            f"the daemon needs {error.name}, which isn't installed",
            place="tea runtime",
            fix='install it with: pip install "the-edge-agent[runtime]"',
        ) from None
    level = logging.DEBUG if args.verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(levelname).1s %(message)s", stream=sys.stderr)
    logging.getLogger("the_edge_agent").setLevel(level)
    options = ServeOptions(
        config_path=args.config,
        bind=args.bind,
        http_port=args.http_port,
        grpc_port=args.grpc_port,
        socket_path=args.socket,
        offline=args.offline,
        announce=console.err,
    )
    try:
        return asyncio.run(serve_until_stopped(options, load_settings()))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending; one more must not change how


def _ignore(_signum: int, _frame: object) -> None:
    pass


def check(args: argparse.Namespace, console: Console) -> int:
    """Check a configuration file, that its models are here, and its agents."""
    from the_edge_agent.errors import UsageError
    from the_edge_agent.runtime.config import config_schema, load_config
    from the_edge_agent.runtime.registry import configured_models
    from the_edge_agent.settings import load_settings
    from the_edge_agent.workflow.load import load_workflow

    if args.schema:
        console.json(config_schema())
        return 0
    if args.config is None:
        raise UsageError("no file was named", place="tea runtime check", fix="give FILE, or --schema")
    config = load_config(args.config)
    models = configured_models(config, load_settings())
    for file in config.agents.values():
        load_workflow(Path(file).expanduser())
    for model in models.values():
        console.out(f"{model.name}\t{model.level}\t{model.path}")
    return 0
