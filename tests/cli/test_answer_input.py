"""A person's answers on their way to the engine."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from the_edge_agent.cli.answer_input import asker, parse_answer, question_lines
from the_edge_agent.cli.console import Console
from the_edge_agent.cli.line_reader import LineReader
from the_edge_agent.errors import UsageError


@contextmanager
def typed(text: bytes, *, more: bool = False) -> Iterator[int]:
    """A descriptor from which the text comes; ``more`` leaves the writing end open."""
    reader, writer = os.pipe()
    os.write(writer, text)
    if not more:
        os.close(writer)
    try:
        yield reader
    finally:
        os.close(reader)
        if more:
            os.close(writer)


def test_only_a_json_question_reads_json() -> None:
    assert parse_answer("42", {"kind": "text"}) == "42"
    assert parse_answer("42", {"kind": "json"}) == 42
    with pytest.raises(UsageError, match="not JSON"):
        parse_answer("{", {"kind": "json"})


def test_a_question_shows_its_context_and_its_choices() -> None:
    assert question_lines(
        {"prompt": "Publish?", "choices": ["yes", "later"], "context": "Draft:\nHello"}
    ) == [
        "Draft:",
        "Hello",
        "Publish? [yes / later]",
    ]
    assert question_lines({"kind": "confirm", "prompt": "Sure?"}) == ["Sure? [yes / no]"]


def test_lines_that_are_here_already_are_read_though_no_more_bytes_come() -> None:
    async def read(descriptor: int) -> list[str]:
        lines = LineReader(descriptor)
        return [await lines.read_line() for _ in range(3)]

    with typed("one\nzwei é\n\n".encode(), more=True) as descriptor:
        assert asyncio.run(asyncio.wait_for(read(descriptor), 20)) == ["one\n", "zwei é\n", "\n"]


def test_a_last_line_without_its_newline_counts_and_then_comes_the_end() -> None:
    async def read(descriptor: int) -> list[str]:
        lines = LineReader(descriptor)
        return [await lines.read_line() for _ in range(3)]

    with typed(b"last") as descriptor:
        assert asyncio.run(read(descriptor)) == ["last", "", ""]


def test_the_view_is_paused_while_a_person_answers_and_questions_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    shown = io.StringIO()

    async def both(descriptor: int) -> list[object]:
        monkeypatch.setattr("the_edge_agent.cli.answer_input.LineReader", lambda: LineReader(descriptor))
        ask = asker(
            Console(None, shown), pause=lambda: told.append("pause"), go_on=lambda: told.append("go on")
        )
        return list(
            await asyncio.gather(ask({"prompt": "First?"}), ask({"kind": "json", "prompt": "Second?"}))
        )

    with typed(b"one\n{bad\n[2]\n") as descriptor:
        assert asyncio.run(both(descriptor)) == ["one", [2]]
    assert told == ["pause", "go on", "pause", "go on"]
    assert shown.getvalue().index("First?") < shown.getvalue().index("Second?")


def test_an_input_that_ends_says_how_to_answer_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def one(descriptor: int) -> object:
        monkeypatch.setattr("the_edge_agent.cli.answer_input.LineReader", lambda: LineReader(descriptor))
        return await asker(Console(None, None), pause=lambda: None, go_on=lambda: None)({"prompt": "?"})

    with typed(b"") as descriptor, pytest.raises(UsageError, match="tea resume"):
        asyncio.run(one(descriptor))
