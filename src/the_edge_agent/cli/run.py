"""``tea run``: run an agent file."""

from __future__ import annotations

import argparse
import os

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.flags import add_backend_flags, add_output_flags, add_permission_flags, parse_seed
from the_edge_agent.cli.parser import Parser, Subparsers

_EPILOG = """\
The answer goes to stdout: state.answer where the agent leaves one, else the whole state as YAML.
Progress, questions and errors go to stderr.

Examples:
  tea run agent.yaml
  tea run agent.yaml --input '{"question": "What is 2+2?"}'
  tea run agent.yaml --input @input.json --output json
  echo '{"name": "Nina"}' | tea run agent.yaml --input -
  tea run agent.yaml --gguf ~/models/gemma.gguf --seed 7
  tea run agent.yaml --stream | jq 'select(.type == "token").text'
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea run``."""
    parser: Parser = subparsers.add_parser(
        "run", help="run an agent file", description="Run an agent file and print its answer.", epilog=_EPILOG
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="the agent, a YAML file; in a bundle also one of its agents by name (default: its first)",
    )
    parser.add_argument(
        "-i",
        "--input",
        metavar="JSON",
        help="the run's input: a JSON object, @FILE, or - for stdin (default: {})",
    )
    add_output_flags(parser)
    add_backend_flags(parser)
    add_permission_flags(parser)
    group = parser.add_argument_group("run")
    group.add_argument("--seed", type=parse_seed, metavar="N", help="make sampling repeatable")
    group.add_argument("--run-id", metavar="ID", help="name the run (letters, digits, . _ -; up to 64)")
    group.add_argument(
        "--interactive", action="store_true", help="ask questions here and now instead of stopping"
    )
    group.add_argument(
        "--no-log", action="store_true", help="keep no log: the run can't be resumed or replayed"
    )
    parser.set_defaults(handler="the_edge_agent.cli.run:run")


def run(args: argparse.Namespace, console: Console) -> int:
    """Load the file, then drive the run."""
    from the_edge_agent.cli.drive import drive
    from the_edge_agent.cli.json_input import read_input

    input_ = read_input(args.input)
    file = _file(args.file)
    return drive(
        args,
        console,
        lambda app, ask: app.run(app.load(file), input_, run_id=args.run_id, seed=args.seed, ask=ask),
    )


def _file(named: str | None) -> str:
    """The file that was named; in a bundle also an agent of its own by name, and its first one without."""
    if named is not None and os.path.exists(named):  # noqa: PTH110 - a path stays as it was written
        return named
    from the_edge_agent.bundle.bundled import bundled_agent
    from the_edge_agent.errors import UsageError
    from the_edge_agent.settings import load_settings

    found = bundled_agent(load_settings().appdir, named)
    if found is not None:
        return str(found)
    if named is None:
        raise UsageError(
            "missing file", place="tea run", fix="name an agent file; a bundle with an agent needs none"
        )
    return named
