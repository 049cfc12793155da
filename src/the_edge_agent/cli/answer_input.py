"""A person's answer to a run's question: shown on stderr, read from stdin, handed back as the engine takes it.

Whether an answer fits is the engine's business (``engine.question``); a question that comes back carries the
``problem`` with the last answer. This module knows nothing of runs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.line_reader import LineReader
from the_edge_agent.cli.terminal import visible
from the_edge_agent.cli.text import yaml_text
from the_edge_agent.errors import UsageError


def parse_answer(text: str, question: Mapping[str, Any]) -> Any:
    """Typed text as a value: a question of kind ``json`` takes JSON, all others the text as it is.

    Raises:
        UsageError: not JSON where JSON is asked for.
    """
    if question.get("kind") != "json":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"not JSON: {error}",
            place="answer",
            fix='answer with a JSON value, such as {"ok": true} or "text"',
        ) from None


def question_lines(question: Mapping[str, Any]) -> list[str]:
    """The question as it is shown: its context, its prompt, the answers there are."""
    lines: list[str] = []
    context = question.get("context")
    if context is not None:
        lines += yaml_text(context).splitlines()
    prompt = str(question.get("prompt") or "An answer is needed")
    choices: Sequence[Any] = question.get("choices") or ()
    if choices:
        prompt += f" [{' / '.join(str(choice) for choice in choices)}]"
    elif question.get("kind") == "confirm":
        prompt += " [yes / no]"
    elif question.get("kind") == "json":
        prompt += " [JSON]"
    return [*lines, *prompt.splitlines()]


def asker(
    console: Console, *, pause: Callable[[], None], go_on: Callable[[], None]
) -> Callable[[Any], Awaitable[Any]]:
    """An ``ask`` for the engine. ``pause`` and ``go_on`` take the live view off the screen meanwhile.

    Raises UsageError when stdin ends before there is an answer.
    """
    lines = LineReader()
    turn = asyncio.Lock()  # branches may ask at the same time; a person answers one question at a time

    async def ask(question: Mapping[str, Any]) -> Any:
        async with turn:
            pause()
            try:
                return await _ask(console, lines, question)
            finally:
                go_on()

    return ask


async def _ask(console: Console, lines: LineReader, question: Mapping[str, Any]) -> Any:
    if question.get("problem"):
        console.err(console.style(str(question["problem"]), "yellow", err=True))
    else:
        console.err()
        for line in question_lines(question):
            console.err(console.style(visible(line), "bold", err=True))
    while True:
        console.err(console.style("> ", "bold", "cyan", err=True), end="")
        line = await lines.read_line()
        if not line:
            raise UsageError(
                "stdin ended before the question was answered",
                place="--interactive",
                fix="leave --interactive out and answer later with `tea resume RUN_ID --answer TEXT`",
            )
        try:
            return parse_answer(line.rstrip("\n"), question)
        except UsageError as error:
            console.err(console.style(f"{error.what}; {error.fix}", "yellow", err=True))
