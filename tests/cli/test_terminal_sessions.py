"""What a person sees and types: the command on a pseudo-terminal, with models that answer when told to."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.cli import agents
from tests.cli.session import Session
from tests.cli.slow_api import slow_api
from tests.cli.tea import tea

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("CHAT", "COUNT", "ASK", "FAILING", "LONG"):
        (tmp_path / f"{name.lower()}.yaml").write_text(getattr(agents, name))
    return tmp_path


def test_a_run_shows_its_nodes_and_ends_with_the_answer(home: Path) -> None:
    with Session("run", "count.yaml", home=home) as terminal:
        assert terminal.end() == 0
    lines = [line for line in terminal.text.splitlines() if line.strip()]
    assert lines[0].startswith("count  run ")
    assert "✓ one" in terminal.text
    assert "✓ two" in terminal.text
    assert lines[-2] == "2"
    assert lines[-1].startswith("done in ")


def test_tokens_stream_into_the_live_view_before_the_answer_is_done(home: Path) -> None:
    with slow_api("Once ", "upon ", "a ", "time", endless=True) as api:
        arguments = ("run", "chat.yaml", "--backend", "api", "-i", '{"question": "Tell me."}')
        with Session(*arguments, home=home, environ=api.environ) as terminal:
            terminal.expect("Once upon a time")
            assert "done in" not in terminal.text
            api.released.set()
            assert terminal.end() == 0
    assert terminal.raw.rindex(SHOW) > terminal.raw.rindex(HIDE)


def test_ctrl_c_in_a_live_run_restores_the_cursor_and_says_how_to_go_on(home: Path) -> None:
    with slow_api("Once ", endless=True) as api:
        arguments = (
            "run",
            "chat.yaml",
            "--backend",
            "api",
            "--run-id",
            "r",
            "-i",
            '{"question": "Tell me."}',
        )
        with Session(*arguments, home=home, environ=api.environ) as terminal:
            terminal.expect("Once")
            terminal.type("\x03")
            assert terminal.end() == 130
    assert "Stopped: the run was stopped in node 'answer'; to go on: tea resume r" in terminal.text
    assert terminal.raw.rindex(SHOW) > terminal.raw.rindex(HIDE)
    assert "Traceback" not in terminal.text


def test_a_failed_run_ends_with_its_block(home: Path) -> None:
    with Session("run", "failing.yaml", home=home) as terminal:
        assert terminal.end() == 1
    assert "TemplateError: " in terminal.text
    assert "tea resume" in terminal.text
    assert "InternalError" not in terminal.text


def test_a_question_is_asked_between_the_views(home: Path) -> None:
    with Session("run", "ask.yaml", "--interactive", home=home) as terminal:
        terminal.expect("Publish this? [publish / discard]\n> ")
        terminal.type("burn it\r")
        terminal.expect("doesn't answer")
        terminal.type("publish\r")
        assert terminal.end() == 0
    assert "It was publish" in terminal.text


def test_ctrl_c_at_a_question_stops_the_run_and_keeps_it(home: Path) -> None:
    with Session("run", "ask.yaml", "--interactive", "--run-id", "r", home=home) as terminal:
        terminal.expect("> ")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert tea("resume", "r", "--answer", "discard", "-q", home=home).out == "It was discard\n"


@pytest.mark.parametrize(("columns", "lines"), [(20, 5), (300, 100), (1, 1)])
def test_no_size_of_terminal_breaks_the_live_view(home: Path, columns: int, lines: int) -> None:
    with Session("run", "count.yaml", home=home, columns=columns, lines=lines) as terminal:
        assert terminal.end() == 0
    assert "2" in terminal.text


def test_no_color_leaves_the_view_and_takes_the_colours(home: Path) -> None:
    with Session("run", "count.yaml", home=home, environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.end() == 0
    assert not any(f"\x1b[{code}m" in terminal.raw for code in ("31", "32", "33", "36"))
    assert "✓ one" in terminal.text


def test_a_dumb_terminal_gets_plain_lines(home: Path) -> None:
    with Session("run", "count.yaml", home=home, environ={"TERM": "dumb"}) as terminal:
        assert terminal.end() == 0
    assert "\x1b" not in terminal.raw
    assert "one: done in" in terminal.text


def test_a_chat_answers_remembers_and_leaves_at_ctrl_d(home: Path) -> None:
    with slow_api("Good ", "morning.") as api:
        with Session("chat", "--backend", "api", home=home, environ=api.environ) as terminal:
            terminal.expect("/help lists commands")
            terminal.expect("> ")
            terminal.type("Hello\r")
            terminal.expect("Good morning.\n")
            terminal.expect("> ", times=2)
            terminal.type("Again\r")
            terminal.expect("Good morning.\n", times=2)
            terminal.expect("> ", times=3)
            terminal.type("/stats\r")
            terminal.expect("messages: 2 asked, 2 answered")
            terminal.type("/save talk.json\r")
            terminal.expect("saved to talk.json")
            terminal.expect("> ", times=5)
            terminal.type("\x04")
            assert terminal.end() == 0
        roles = [message["role"] for message in api.requests[1]["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert len(json.loads((home / "talk.json").read_text())["messages"]) == 4
    history = next(home.rglob("chat_history"))
    assert history.read_text().splitlines()[:2] == ["Hello", "Again"]
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_ctrl_c_stops_the_answer_and_not_the_chat(home: Path) -> None:
    with slow_api("Once ", "upon ", endless=True) as api:
        with Session("chat", "--backend", "api", home=home, environ=api.environ) as terminal:
            terminal.expect("> ")
            terminal.type("Tell me.\r")
            terminal.expect("Once upon ")
            terminal.type("\x03")
            terminal.expect("stopped")
            terminal.expect("> ", times=2)
            api.endless = False
            terminal.type("And then?\r")
            terminal.expect("Once upon ", times=2)
            terminal.expect("> ", times=3)
            terminal.type("half a li")
            terminal.expect("half a li")  # until then readline may sit between its prompt and its wait, deaf
            terminal.type("\x03")
            terminal.expect("Ctrl-D leaves", times=2)
            terminal.type("/exit\r")
            assert terminal.end() == 0
        assert [message["content"] for message in api.requests[1]["messages"]] == [
            "Tell me.",
            "Once upon ",
            "And then?",
        ]


def test_several_lines_are_one_message(home: Path) -> None:
    with slow_api("Yes.") as api:
        with Session(
            "chat", "--backend", "api", "--system", "Be brief.", home=home, environ=api.environ
        ) as terminal:
            terminal.expect("> ")
            terminal.type('"""\r')
            terminal.expect("... ")
            terminal.type('def f():\r    return 1"""\r')
            terminal.expect("Yes.")
            terminal.type("one \\\rtwo\r")
            terminal.expect("Yes.", times=2)
            terminal.expect("> ", times=3)
            terminal.type("\x04")
            assert terminal.end() == 0
        first, second = (request["messages"] for request in api.requests)
    assert first == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "def f():\n    return 1"},
    ]
    assert second[-1]["content"] == "one \ntwo"


def test_an_answer_cannot_take_over_the_terminal(home: Path) -> None:
    with (
        slow_api("\x1b]0;owned\x07", "\x1b[2J", "hi") as api,
        Session("chat", "--backend", "api", "hello", home=home, environ=api.environ) as terminal,
    ):
        assert terminal.end() == 0
    assert "\x1b]0;" not in terminal.raw
    assert "\x1b[2J" not in terminal.raw
    assert "\\x1b[2Jhi" in terminal.raw


def test_a_mistyped_command_in_a_chat_proposes_and_goes_on(home: Path) -> None:
    with (
        slow_api("Yes.") as api,
        Session("chat", "--backend", "api", home=home, environ=api.environ) as terminal,
    ):
        terminal.expect("> ")
        terminal.type("/sats\r")
        terminal.expect("did you mean '/stats'?")
        terminal.expect("> ", times=2)
        terminal.type("/exit\r")
        assert terminal.end() == 0


def test_a_chat_in_a_pipe_answers_line_by_line_and_says_the_rest_on_stderr(home: Path) -> None:
    with slow_api("Yes.") as api:
        done = tea(
            "chat",
            "--backend",
            "api",
            home=home,
            environ=api.environ,
            stdin='One?\n\n/stats\n"""\nTwo\nlines?\n"""\n/nope\n',
        )
    assert done.out == "Yes.\nYes.\n"
    assert "messages: 1 asked, 1 answered" in done.err
    assert "UsageError: chat: unknown command /nope" in done.err
    assert done.code == 1
    assert [request["messages"][-1]["content"] for request in api.requests] == ["One?", "Two\nlines?"]


def test_one_question_on_the_command_line_is_one_answer(home: Path) -> None:
    with slow_api("Four", ".") as api:
        done = tea("chat", "--backend", "api", "What is 2+2?", home=home, environ=api.environ)
        piped = tea("chat", "--backend", "api", "-", home=home, environ=api.environ, stdin="a\nb\n")
    assert (done.code, done.out) == (0, "Four.\n")
    assert piped.out == "Four.\n"
    assert api.requests[1]["messages"][-1]["content"] == "a\nb\n"


def test_a_chat_with_nobody_there_says_so(home: Path) -> None:
    done = tea(
        "chat", "--backend", "api", "hi", home=home, environ={"TEA_API_BASE_URL": "http://127.0.0.1:9/v1"}
    )
    assert (done.code, done.out) == (1, "")
    assert done.first_error_line.startswith("BackendUnavailable: ")


@pytest.mark.parametrize(
    "flags",
    [
        ("--temperature", "nan"),
        ("--max-tokens", "0"),
        ("--seed", "-1"),
        ("--system", "@nowhere"),
        ("--model", ""),
    ],
)
def test_a_flag_that_makes_no_sense_is_wrong_usage(home: Path, flags: tuple[str, str]) -> None:
    done = tea("chat", "hello", *flags, home=home)
    assert (done.code, done.out) == (2, "")
    assert done.first_error_line.startswith("UsageError: ")
