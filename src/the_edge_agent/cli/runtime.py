"""``tea runtime``: the daemon that keeps models loaded, and the verbs that talk to it through its Unix socket."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from the_edge_agent.cli import runtime_install
from the_edge_agent.cli.parser import Parser, Subparsers

if TYPE_CHECKING:
    from the_edge_agent.cli.console import Console
    from the_edge_agent.settings import Environment

_HANDLERS = "the_edge_agent.cli.runtime"
#: What a daemon that is well says at once; one that is frozen must not freeze the operator too.
ANSWER_S = 10.0
#: The longest ``shutdown_s`` there is, and then some.
STOP_S = 3700.0
_SERVE_EPILOG = """\
Without --config it serves the embedded model, operational, on loopback.

Examples:
  tea runtime serve
  tea runtime serve --config runtime.yaml --http-port 8080
  curl http://127.0.0.1:11435/v1/chat/completions -d '{"messages": [{"role": "user", "content": "Hi"}]}'

SIGTERM lets running answers finish; a second one stops at once. SIGHUP reads the configuration again.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea runtime``."""
    parser: Parser = subparsers.add_parser(
        "runtime",
        help="the daemon that keeps models loaded",
        description="The daemon: models as a service, over HTTP (OpenAI, Ollama), gRPC and a Unix socket.",
    )
    verbs: Subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_serve(verbs)
    _add(verbs, "status", "Show models, memory and queue of the running daemon.")
    _add(verbs, "ps", "Show the models that are loaded.")
    for verb, what in (("load", "Load a model and wait until it answers."), ("unload", "Unload a model.")):
        _add(verbs, verb, what).add_argument(
            "model", metavar="MODEL", help="the model, as the configuration names it"
        )
    logs = _add(verbs, "logs", "Print what a model's worker wrote last.")
    logs.add_argument("model", metavar="MODEL", nargs="?", help="default: the first model")
    stop = _add(verbs, "stop", "Stop the daemon: running answers may finish.")
    stop.add_argument("--force", action="store_true", help="don't wait for running answers")
    check = verbs.add_parser(
        "check", help="check a configuration, or print its schema", description="Check a configuration."
    )
    check.add_argument("config", metavar="FILE", nargs="?", type=Path, help="the configuration to check")
    check.add_argument("--schema", action="store_true", help="print the JSON Schema of the file")
    check.set_defaults(handler=f"{_HANDLERS}:check")
    runtime_install.add_verbs(verbs)


def _add_serve(verbs: Subparsers) -> None:
    serve_ = verbs.add_parser(
        "serve", help="run the daemon", description="Run the daemon.", epilog=_SERVE_EPILOG
    )
    serve_.add_argument(
        "--config", metavar="FILE", type=Path, help="configuration (see `tea runtime check --schema`)"
    )
    serve_.add_argument(
        "--bind", metavar="HOST", help="address of both ports (127.0.0.1); another one needs an API key"
    )
    serve_.add_argument("--http-port", metavar="PORT", type=int, help="HTTP port (11435); 0 takes a free one")
    serve_.add_argument("--grpc-port", metavar="PORT", type=int, help="gRPC port (50051); 0 takes a free one")
    serve_.add_argument("--socket", metavar="PATH", type=Path, help="Unix socket")
    serve_.add_argument("--offline", action="store_true", help="give workers no network at all")
    serve_.add_argument("--verbose", action="store_true", help="log more")
    serve_.set_defaults(handler=f"{_HANDLERS}:serve")


def _add(verbs: Subparsers, verb: str, what: str) -> Parser:
    parser: Parser = verbs.add_parser(verb, help=what[0].lower() + what[1:].rstrip("."), description=what)
    parser.add_argument("--socket", metavar="PATH", type=Path, help="the daemon's Unix socket")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(handler=f"{_HANDLERS}:{verb}")
    return parser


def serve(args: argparse.Namespace, console: Console) -> int:
    """Run the daemon until it is told to stop."""
    import asyncio
    import logging
    import signal

    from the_edge_agent.errors import BackendNotInstalled, UsageError
    from the_edge_agent.settings import load_settings

    _check_unix_sockets()
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


def status(args: argparse.Namespace, console: Console) -> int:
    """Show everything."""
    from the_edge_agent.cli.text import format_bytes, format_seconds

    tree = _ask_daemon(args, "GET", "/edge/v1/status")
    if args.json:
        console.json(tree)
        return 0
    console.out(
        f"{'ready' if tree['ready'] else 'starting'}, version {tree['version']}, up {format_seconds(tree['uptime_s'])}"
    )
    standby = tree.get("standby") or {"pid": 0}  # a daemon that was started before an upgrade doesn't tell
    beside = f", and {format_bytes(standby['size_bytes'])} stand by" if standby["pid"] else ""
    console.out(f"memory {format_bytes(tree['used_bytes'])} of {format_bytes(tree['memory_bytes'])}{beside}")
    console.out(f"queue {tree['queue']} of {tree['queue_size']}, {tree['tokens_per_s']:g} tokens/s")
    _print_models(console, tree["models"])
    return 0


def ps(args: argparse.Namespace, console: Console) -> int:
    """Show the loaded models."""
    tree = _ask_daemon(args, "GET", "/edge/v1/status")
    loaded = [model for model in tree["models"] if model["pid"]]
    if args.json:
        console.json(loaded)
    else:
        _print_models(console, loaded)
    return 0


def load(args: argparse.Namespace, console: Console) -> int:
    """Load a model."""
    return _change(args, console, "load")


def unload(args: argparse.Namespace, console: Console) -> int:
    """Unload a model."""
    return _change(args, console, "unload")


def logs(args: argparse.Namespace, console: Console) -> int:
    """Print a worker's last lines."""
    name = args.model
    if name is None:
        models = _ask_daemon(args, "GET", "/edge/v1/status")["models"]
        name = models[0]["name"] if models else ""
    lines = _ask_daemon(args, "GET", f"/edge/v1/logs/{quote(name, safe='')}")["lines"]
    if args.json:
        console.json(lines)
    else:
        for line in lines:
            console.out(line)
    return 0


def stop(args: argparse.Namespace, console: Console) -> int:
    """Stop the daemon and wait until its process is gone."""
    import time

    from the_edge_agent.errors import BackendTimeout

    pid = _ask_daemon(args, "POST", "/edge/v1/stop", {"force": args.force})["pid"]
    give_up_s = time.monotonic() + STOP_S
    while _is_running(pid):
        if time.monotonic() > give_up_s:
            raise BackendTimeout(f"its process {pid} still runs", place="tea runtime stop", fix="see its log")
        time.sleep(0.02)
    console.json({"stopped": True}) if args.json else console.err("stopped")
    return 0


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


def _change(args: argparse.Namespace, console: Console, verb: str) -> int:
    tree = _ask_daemon(args, "POST", f"/edge/v1/{verb}", {"model": args.model}, answer_s=None)
    if args.json:
        console.json(tree)
    else:
        console.err(f"{tree['name']}: {tree['phase']}")
    return 0


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is there
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # no Linux, or it has just ended: the next look tells
    return state != "Z"  # that one has ended, and whoever started it hasn't looked


def _print_models(console: Console, models: list[dict[str, Any]]) -> None:
    from the_edge_agent.cli.text import format_bytes

    console.table(
        ("NAME", "LEVEL", "STATE", "MEMORY", "ACTIVE", "WAITING", "ANSWERED", "RESTARTS"),
        [
            (
                model["name"],
                model["level"],
                model["phase"],
                format_bytes(model["size_bytes"]) if model["pid"] else "-",
                f"{model['active']}/{model['slots']}",
                str(model["waiting"]),
                str(model["requests"]),
                str(model["crashes"]),
            )
            for model in models
        ],
    )
    for model in models:
        if model["failure"]:
            console.out(f"{model['name']}: {model['failure']}")


def _check_unix_sockets() -> None:
    """Raise UnsupportedFeature on a system where the daemon can't be, or be called."""
    import socket

    from the_edge_agent.errors import UnsupportedFeature

    if not hasattr(socket, "AF_UNIX"):
        raise UnsupportedFeature(
            "the daemon needs Unix sockets, which Python doesn't have on this system",
            place="tea runtime",
            fix="use Linux, macOS, WSL or the container; models answer in this process here: tea run, tea chat",
        )


def _socket_path(args: argparse.Namespace) -> Path:
    from the_edge_agent.settings import load_settings

    environment: Environment = load_settings()
    return Path(os.path.abspath(args.socket or environment.runtime_socket))  # noqa: PTH100 - a symlink stays one


def _ask_daemon(
    args: argparse.Namespace,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    answer_s: float | None = ANSWER_S,
) -> dict[str, Any]:
    """One exchange over the Unix socket; ``answer_s`` None waits as long as the work takes.

    Raises:
        BackendUnavailable: nobody is there, or it ended or was full before it answered.
        BackendTimeout: somebody is there and says nothing.
        PermissionDenied: the socket is somebody else's.
        EdgeAgentError: the daemon's own.
    """
    import httpx

    from the_edge_agent.backends.runtime_answers import parse_error
    from the_edge_agent.errors import BackendTimeout, BackendUnavailable, PermissionDenied

    _check_unix_sockets()
    socket_path = _socket_path(args)
    transport = httpx.HTTPTransport(uds=str(socket_path), verify=False)
    with httpx.Client(
        transport=transport, base_url="http://localhost", timeout=httpx.Timeout(ANSWER_S, read=answer_s)
    ) as client:
        try:
            response = client.request(method, path, json=body)
        except httpx.TimeoutException:
            raise BackendTimeout(
                f"the daemon at {socket_path} is there and doesn't answer",
                place="tea runtime",
                fix="its process is stopped, or stuck: see its log, and end it if it stays so",
            ) from None
        except httpx.ConnectError as error:
            if f"[Errno {errno.EACCES}]" in str(error):
                raise PermissionDenied(
                    f"{socket_path} may not be called by you",
                    place="tea runtime",
                    fix="call as the daemon's user; a system service's may be called by the group tea",
                ) from None
            raise BackendUnavailable(
                f"no daemon answers at {socket_path}",
                place="tea runtime",
                fix="start one with `tea runtime serve`",
            ) from None
        except httpx.TransportError:
            raise BackendUnavailable(
                f"the daemon at {socket_path} ended before it answered",
                place="tea runtime",
                fix="see its log",
            ) from None
    try:
        tree: Any = response.json()
    except ValueError:
        said = (
            f"{response.status_code} {response.text!r:.80}"  # 503 in plain words: all connections are taken
        )
        raise BackendUnavailable(
            f"the daemon answered {said}", place="tea runtime", fix="try again"
        ) from None
    if response.status_code >= 400:
        given: dict[str, Any] = tree.get("error", {})
        raise parse_error(given.get("edge_agent") or {"what": given.get("message")})
    return cast("dict[str, Any]", tree)
