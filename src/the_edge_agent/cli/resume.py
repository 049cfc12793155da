"""``tea resume``: go on with a run that was stopped, failed, or waits for a person's answer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.flags import add_backend_flags, add_output_flags, add_permission_flags
from the_edge_agent.cli.parser import Parser, Subparsers

if TYPE_CHECKING:
    from the_edge_agent.app import App

_EPILOG = """\
Finished nodes are never run again; their results come from the log. The agent's text comes from the log too:
what was changed in the file since takes no effect, and tea says that it has changed.

Examples:
  tea resume 4f1c2a
  tea resume 4f1c2a --answer yes
  tea resume 4f1c2a --interactive
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register ``tea resume``."""
    parser: Parser = subparsers.add_parser(
        "resume",
        help="go on with a run",
        description="Go on with a run that was stopped, failed, or waits for an answer.",
        epilog=_EPILOG,
    )
    parser.add_argument("run_id", metavar="RUN_ID", help="the run (see `tea runs list`)")
    parser.add_argument("--answer", metavar="TEXT", help="the answer to the question the run waits for")
    add_output_flags(parser)
    add_backend_flags(parser)
    add_permission_flags(parser)
    group = parser.add_argument_group("run")
    group.add_argument(
        "--interactive", action="store_true", help="ask questions here and now instead of stopping"
    )
    parser.set_defaults(handler="the_edge_agent.cli.resume:resume")


def resume(args: argparse.Namespace, console: Console) -> int:
    """Drive the rest of the run."""
    from the_edge_agent.cli.drive import drive

    return drive(
        args,
        console,
        lambda app, ask: app.resume(args.run_id, answer=_answer(app, args.run_id, args.answer), ask=ask),
    )


def _answer(app: App, run_id: str, text: str | None) -> Any:
    """The flag's text as the first open question takes it."""
    from the_edge_agent.cli.answer_input import parse_answer

    if text is None:
        return None
    for question in app.runs.show(run_id).history.open_questions.values():
        return parse_answer(text, question)
    return text
