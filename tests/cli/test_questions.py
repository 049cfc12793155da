"""Runs that wait for a person: here and now, or answered by another process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli import agents
from tests.cli.tea import tea


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "ask.yaml").write_text(agents.ASK)
    return tmp_path


def test_a_question_stops_the_run_with_3_and_says_how_to_answer(home: Path) -> None:
    done = tea("run", "ask.yaml", "--run-id", "r", home=home)
    assert (done.code, done.out) == (3, "")
    assert (
        "Waiting: Publish this? [publish / discard]\n  answer with: tea resume r --answer TEXT\n" in done.err
    )


def test_another_process_answers_and_the_run_goes_on(home: Path) -> None:
    waiting = json.loads(tea("run", "ask.yaml", "--run-id", "r", "--output", "json", home=home).out)
    assert waiting["run"]["status"] == "interrupted"
    assert waiting["run"]["question"]["choices"] == ["publish", "discard"]
    assert waiting["state"] == {"draft": "a draft"}
    done = tea("resume", "r", "--answer", "publish", "--output", "json", home=home)
    assert done.code == 0
    assert json.loads(done.out)["state"]["answer"] == "It was publish"


def test_an_answer_that_does_not_fit_is_refused_and_the_run_still_waits(home: Path) -> None:
    tea("run", "ask.yaml", "--run-id", "r", home=home)
    refused = tea("resume", "r", "--answer", "burn it", home=home)
    assert refused.code == 2
    assert refused.first_error_line.startswith("InputInvalid: answer: 'burn it' doesn't answer")
    assert tea("runs", "list", home=home).out.split("\t")[1] == "interrupted"
    assert tea("resume", "r", "--answer", "DISCARD", "-q", home=home).out == "It was discard\n"


def test_an_answer_nobody_asked_for_is_refused(home: Path) -> None:
    tea("run", "ask.yaml", "--run-id", "r", home=home)
    tea("resume", "r", "--answer", "publish", home=home)
    done = tea("resume", "r", "--answer", "publish", home=home)
    assert done.code == 2
    assert done.first_error_line.startswith("UsageError: ")


def test_resuming_a_finished_run_tells_its_answer_again(home: Path) -> None:
    tea("run", "ask.yaml", "--run-id", "r", home=home)
    first = tea("resume", "r", "--answer", "publish", "-q", home=home)
    assert tea("resume", "r", "-q", home=home) == first


def test_a_stream_with_a_question_ends_and_stays_ndjson_on_resume(home: Path) -> None:
    first = tea("run", "ask.yaml", "--run-id", "r", "--stream", home=home)
    told = [json.loads(line) for line in first.out.splitlines()]
    assert (first.code, told[-1]["type"]) == (3, "interrupted")
    second = tea("resume", "r", "--stream", "--answer", "publish", home=home)
    told = [json.loads(line) for line in second.out.splitlines()]
    assert (second.code, told[0]["type"], told[0]["resumed"]) == (0, "run_started", True)
    assert told[-1]["state"]["answer"] == "It was publish"
    assert next(event for event in told if event["type"] == "node_finished")["from_log"] is True


def test_interactive_asks_here_and_now_until_the_answer_fits(home: Path) -> None:
    done = tea("run", "ask.yaml", "--interactive", home=home, stdin="perhaps\nPublish\n")
    assert (done.code, done.out) == (0, "It was publish\n")
    assert "a draft\nPublish this? [publish / discard]\n> " in done.err
    assert "'perhaps' doesn't answer" in done.err


def test_interactive_with_a_stream_keeps_stdout_to_events(home: Path) -> None:
    done = tea("run", "ask.yaml", "--interactive", "--stream", home=home, stdin="publish\n")
    assert done.code == 0
    assert [json.loads(line)["type"] for line in done.out.splitlines()][-1] == "finished"


def test_an_input_that_ends_before_the_answer_fails_and_the_run_can_be_resumed(home: Path) -> None:
    done = tea("run", "ask.yaml", "--run-id", "r", "--interactive", home=home, stdin="")
    assert done.code != 0
    assert "tea resume" in done.err
    assert tea("resume", "r", "--answer", "publish", "-q", home=home).out == "It was publish\n"


def test_a_run_nobody_knows_cannot_be_resumed_replayed_or_shown(home: Path) -> None:
    for arguments in (
        ("resume", "x"),
        ("replay", "x"),
        ("runs", "show", "x"),
        ("logs", "x"),
        ("runs", "mend", "x"),
    ):
        done = tea(*arguments, home=home)
        assert done.code == 1, arguments
        assert done.first_error_line.startswith("RunNotFound: ")
        assert "tea runs list" in done.err


def test_a_question_without_a_log_says_that_nothing_is_kept(home: Path) -> None:
    done = tea("run", "ask.yaml", "--no-log", home=home)
    assert done.code == 3
    assert "tea resume" not in done.err
    assert "--interactive" in done.err
