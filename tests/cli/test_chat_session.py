"""A conversation and its lines, without a model."""

from __future__ import annotations

import json

import pytest

from the_edge_agent.cli.chat_session import (
    AnswerStats,
    Command,
    Conversation,
    Lines,
    Nothing,
    Say,
    parse_line,
    stats_lines,
)
from the_edge_agent.errors import UsageError
from the_edge_agent.inference import Completion, Message, Usage


def completion(text: str) -> Completion:
    return Completion(text=text, finish_reason="stop", usage=Usage(10, 5, 2))


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("  ", Nothing()),
        (" hello ", Say("hello")),
        ("/help", Command("/help", "")),
        ("/system Be brief. ", Command("/system", "Be brief.")),
        ("/quit", Command("/exit", "")),
        ("//etc/hosts is a file", Say("/etc/hosts is a file")),
        ("/etc/hosts is what?", Say("/etc/hosts is what?")),
        ("a /help in the middle", Say("a /help in the middle")),
    ],
)
def test_a_line_is_a_message_or_a_command(typed: str, line: object) -> None:
    assert parse_line(typed) == line


def test_an_unknown_command_proposes_the_near_one() -> None:
    with pytest.raises(UsageError) as caught:
        parse_line("/rest")
    assert "'/reset'" in caught.value.fix


def test_a_block_and_a_backslash_join_lines() -> None:
    lines = Lines()
    assert lines.feed("one \\") is None
    assert lines.open
    assert lines.feed("two") == "one \ntwo"
    assert [lines.feed(line) for line in ('"""', "def f():", "", "    return 1", '"""')] == [
        None,
        None,
        None,
        None,
        "def f():\n\n    return 1\n",
    ]
    assert lines.feed('"""in one line"""') == "in one line"
    assert not lines.open


def test_a_conversation_sends_its_system_message_and_every_turn() -> None:
    talk = Conversation(system="Be brief.").answered("Hi", completion("Hello."), AnswerStats())
    assert talk.messages("And?") == (
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Hello."),
        Message("user", "And?"),
    )


def test_an_answer_that_was_stopped_before_its_first_word_leaves_no_trace() -> None:
    talk = Conversation()
    assert talk.answered("Hi", completion(""), AnswerStats()) == talk


def test_reset_forgets_the_turns_and_keeps_the_system_message() -> None:
    talk = Conversation(system="s").answered("Hi", completion("Hello."), AnswerStats()).reset()
    assert talk.messages("x") == (Message("system", "s"), Message("user", "x"))


def test_a_saved_conversation_is_what_any_chat_api_takes() -> None:
    talk = Conversation(system="s").answered("Hi", completion("Hello."), AnswerStats())
    assert json.loads(talk.to_json()) == {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
        ]
    }
    assert talk.to_markdown().count("**") == 6


def test_stats_say_speed_and_how_full_the_context_is() -> None:
    stats = AnswerStats(Usage(10, 5, 2), first_token_s=0.5, total_s=1.5, n_ctx=30)
    text = "\n".join(stats_lines(Conversation().answered("Hi", completion("Hello."), stats)))
    assert "4 tokens/s" in text
    assert "15 of 30 tokens (50%)" in text
    assert "10 (2 cached)" in text
