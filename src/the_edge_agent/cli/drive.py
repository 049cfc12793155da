"""Drive one run to its end: events into the picture and the view, then the outcome to stdout and stderr.

``run``, ``resume`` and ``replay`` share this; they differ in where their events come from.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

from the_edge_agent.app import App
from the_edge_agent.cli.answer_input import asker, question_lines
from the_edge_agent.cli.closing import closing
from the_edge_agent.cli.console import Console
from the_edge_agent.cli.errors import (
    error_to_json,
    exit_code_of,
    render_error,
    render_event_error,
    render_traceback,
)
from the_edge_agent.cli.flags import app_options
from the_edge_agent.cli.interrupt import Stopped, run_until_stopped
from the_edge_agent.cli.outcome import Outcome
from the_edge_agent.cli.run_picture import RunPicture
from the_edge_agent.cli.terminal import visible
from the_edge_agent.cli.text import format_seconds, yaml_text
from the_edge_agent.cli.views import LineView, NdjsonView, SilentView, View
from the_edge_agent.engine.events import Event
from the_edge_agent.errors import EdgeAgentError

TICK_S = 0.1

Ask: TypeAlias = Callable[[Any], Awaitable[Any]]
#: Opens the events of a run on an app; ``ask`` is None unless a person answers at once.
OpenEvents: TypeAlias = Callable[[App, Ask | None], AsyncIterator[Event]]


def drive(args: argparse.Namespace, console: Console, open_events: OpenEvents) -> int:
    """Show the run as the flags ask, print how it ended, and return the exit code."""
    picture = RunPicture()
    view = choose_view(args, console, picture)
    signal_code: int | None = None
    error: BaseException | None = None
    try:
        run_until_stopped(_follow(args, console, open_events, picture, view), last_words=view.give_up)
    except Stopped as stopped:
        signal_code = stopped.exit_code
    except (EdgeAgentError, OSError) as raised:
        if picture.run_id is None:  # nothing began; the command as a whole failed
            raise
        error = raised
    outcome = _outcome(picture, signal_code, error)
    if error is not None and console.debug:
        console.err(render_traceback(error))
    report(outcome, args, console, error)
    return outcome.exit_code


def choose_view(args: argparse.Namespace, console: Console, picture: RunPicture) -> View:
    """NDJSON where it was asked for; on a terminal the live view, else lines; nothing when quiet."""
    if args.stream:
        return NdjsonView(console)
    if args.quiet:
        return SilentView()
    if console.terminal.live:
        try:
            from the_edge_agent.cli.live import LiveView
        except ImportError:  # rich isn't installed
            return LineView(console, picture)
        return LiveView(console, picture)
    return LineView(console, picture)


async def _follow(
    args: argparse.Namespace, console: Console, open_events: OpenEvents, picture: RunPicture, view: View
) -> None:
    ask = asker(console, pause=view.pause, go_on=view.go_on) if getattr(args, "interactive", False) else None
    async with App.open(app_options(args, watch_tokens=view.wants_tokens)) as app:
        with view:
            ticker = asyncio.create_task(_tick(view))
            try:
                async with closing(open_events(app, ask)) as events:
                    async for event in events:
                        view.show(event, picture.see(event))
            finally:
                ticker.cancel()


async def _tick(view: View) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        view.tick()


def _outcome(picture: RunPicture, signal_code: int | None, error: BaseException | None) -> Outcome:
    outcome = picture.outcome()
    if error is not None and outcome.status in ("stopped", "finished"):
        return replace(outcome, status="failed", error=error_to_json(error), exit_code=exit_code_of(error))
    if signal_code is not None and outcome.status == "stopped":
        return replace(outcome, exit_code=signal_code)
    return outcome


def report(
    outcome: Outcome, args: argparse.Namespace, console: Console, error: BaseException | None = None
) -> None:
    """The answer on stdout; what went wrong and what to do next on stderr."""
    if args.output == "json" and not args.stream:
        console.json(outcome.to_json())
    elif outcome.status == "finished" and not args.stream:
        _print_answer(outcome, console)
    again = None if getattr(args, "no_log", False) else f"tea resume {outcome.run_id}"
    match outcome.status:
        case "failed":
            console.block(
                render_error(error) if error is not None else render_event_error(outcome.error or {})
            )
            if again:
                console.err(f"  what was finished is kept; to go on from there: {again}")
        case "interrupted":
            _print_question(outcome, again, console)
        case "stopped":
            then = f"; to go on: {again}" if again and outcome.run_id else ""
            console.block(f"Stopped: the run was stopped {_where(outcome)}{then}", "yellow")
        case "finished":
            if console.terminal.live and not args.quiet and not args.stream:
                console.err(console.style(_summary(outcome, console), "dim", err=True))


def _where(outcome: Outcome) -> str:
    if outcome.run_id is None:
        return "before it began"
    return f"in node {outcome.node!r}" if outcome.node else "before its first node"


def _print_answer(outcome: Outcome, console: Console) -> None:
    """``state.answer`` where the agent left one, else the whole state."""
    answer = outcome.state.get("answer")
    text = yaml_text(outcome.state if answer is None else answer)
    if console.is_terminal:
        if console.terminal.err_is_terminal:
            console.err()
        console.out(visible(text))
    else:
        console.out(text)


def _print_question(outcome: Outcome, again: str | None, console: Console) -> None:
    first, *others = question_lines({**(outcome.question or {}), "context": None})
    console.block(f"Waiting: {first}", "yellow")
    for line in others:
        console.err(f"  {visible(line)}")
    if again:
        console.err(f"  answer with: {again} --answer TEXT")
    else:
        console.err(
            "  --no-log kept nothing that an answer could go on from; run it again with --interactive"
        )


def _summary(outcome: Outcome, console: Console) -> str:
    parts = [f"done in {format_seconds(outcome.duration_s)}"]
    completion = outcome.usage.get("completion_tokens", 0)
    if completion:
        parts.append(f"{outcome.usage.get('prompt_tokens', 0):,} prompt + {completion:,} answer tokens")
    if outcome.run_id:
        parts.append(f"run {outcome.run_id}")
    separator = " · " if console.terminal.unicode else ", "
    return "\n" + separator.join(parts)
