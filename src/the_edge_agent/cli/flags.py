"""Flags that several commands share, and what they add up to: ``AppOptions``. Knows no command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from the_edge_agent.errors import UsageError

if TYPE_CHECKING:
    from the_edge_agent.app import AppOptions

BACKENDS = ("auto", "local", "runtime", "api")
MAX_SEED = 2**32 - 1


def add_backend_flags(parser: argparse.ArgumentParser) -> None:
    """Who answers: --gguf, --model, --backend."""
    group = parser.add_argument_group("model")
    group.add_argument("--gguf", metavar="FILE", help="answer with this GGUF (implies --backend local)")
    group.add_argument("--model", metavar="NAME", help="answer with this model (see `tea models list`)")
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        metavar="NAME",
        help=f"who answers: {', '.join(BACKENDS)} (default: auto)",
    )


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """What stdout carries, and how much is told on stderr."""
    group = parser.add_argument_group("output")
    shape = group.add_mutually_exclusive_group()
    shape.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        metavar="FORMAT",
        help="text: the run's answer (default); json: one object with the state and how the run went",
    )
    shape.add_argument("--stream", action="store_true", help="every event as a line of JSON, as it happens")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")


def add_permission_flags(parser: argparse.ArgumentParser) -> None:
    """What an agent may do. A file can ask for less than this, never for more."""
    group = parser.add_argument_group(
        "permissions", "What the agent may do beyond thinking; each may be repeated."
    )
    group.add_argument("--allow-code", action="store_true", help="run the file's inline Python")
    group.add_argument(
        "--allow-net", action="append", default=[], type=_host, metavar="HOST", help="reach this host (* any)"
    )
    group.add_argument(
        "--allow-files", action="append", default=[], metavar="PATH", help="read and write below this folder"
    )
    group.add_argument(
        "--allow-tools", action="append", default=[], metavar="NAME", help="call this tool (* any)"
    )
    group.add_argument(
        "--mcp", type=Path, metavar="FILE", help="the MCP servers that agents may name (see docs/mcp.md)"
    )


def parse_seed(text: str) -> int:
    """A seed as argparse takes it."""
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if not 0 <= seed <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number from 0 to {MAX_SEED}")
    return seed


def _host(text: str) -> str:
    if "/" in text or not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is no host; give a name such as example.com, or *")
    return text.strip()


def app_options(args: argparse.Namespace, *, watch_tokens: bool = False) -> AppOptions:
    """What the flags ask of the composition root; a command that lacks a flag asks for its default.

    ``watch_tokens``: somebody looks on, so tell what models say while they say it.

    Raises:
        UsageError: two flags contradict each other.
    """
    from the_edge_agent.app import AppOptions

    gguf: str | None = getattr(args, "gguf", None)
    model: str | None = getattr(args, "model", None)
    backend: str | None = getattr(args, "backend", None)
    for flag, value in (("--gguf", gguf), ("--model", model)):
        if value is not None and not value.strip():
            raise UsageError(f"{flag} is empty", place="tea", fix="name a model, or leave the flag out")
    if gguf is not None and backend not in (None, "local"):
        raise UsageError(
            f"--gguf names a local model, and --backend {backend} is another",
            place="tea",
            fix="leave one of them out",
        )
    return AppOptions(
        gguf=gguf,
        model=model,
        backend=backend,
        allow_code=getattr(args, "allow_code", False),
        allow_net=tuple(getattr(args, "allow_net", ())),
        allow_files=tuple(_folder(path) for path in getattr(args, "allow_files", ())),
        allow_tools=tuple(getattr(args, "allow_tools", ())),
        keep_log=not getattr(args, "no_log", False),
        mcp_config=getattr(args, "mcp", None),
        watch_tokens=watch_tokens,
    )


def _folder(path: str) -> str:
    """A flag's path starts where the person stands, not where the agent file lies."""
    if not path.strip():
        raise UsageError("--allow-files is empty", place="tea", fix="name a folder; . is the one you are in")
    return str(Path(path).expanduser().absolute())
