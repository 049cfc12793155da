"""``tea runtime``: what it is asked with. The daemon is in ``runtime_serve``, the verbs that talk to it in ``runtime_verbs``."""

from __future__ import annotations

from pathlib import Path

from the_edge_agent.cli import runtime_install
from the_edge_agent.cli.parser import Parser, Subparsers

_SERVE = "the_edge_agent.cli.runtime_serve"
_VERBS = "the_edge_agent.cli.runtime_verbs"
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
    check.set_defaults(handler=f"{_SERVE}:check")
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
    serve_.set_defaults(handler=f"{_SERVE}:serve")


def _add(verbs: Subparsers, verb: str, what: str) -> Parser:
    parser: Parser = verbs.add_parser(verb, help=what[0].lower() + what[1:].rstrip("."), description=what)
    parser.add_argument("--socket", metavar="PATH", type=Path, help="the daemon's Unix socket")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(handler=f"{_VERBS}:{verb}")
    return parser
