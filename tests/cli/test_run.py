"""Runs as processes: what stands on stdout, what on stderr, and with which exit code it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli import agents
from tests.cli.tea import Done, tea

JSON_KEYS = {"id", "status", "usage", "duration_s"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("CHAT", "COUNT", "STATE", "ASK", "CODE", "FAILING"):
        (tmp_path / f"{name.lower()}.yaml").write_text(getattr(agents, name))
    return tmp_path


def one_object(done: Done) -> dict:
    """The only JSON value on stdout, on its only line."""
    assert done.out.count("\n") == 1, done.out
    value = json.loads(done.out)
    assert set(value) == {"state", "run"}
    assert set(value["run"]) - {"question", "error"} == JSON_KEYS
    return value


def events(done: Done) -> list[dict]:
    return [json.loads(line) for line in done.out.splitlines()]


def test_the_answer_stands_alone_on_stdout(home: Path) -> None:
    done = tea("run", "count.yaml", "--input", '{"start": 4}', home=home)
    assert (done.code, done.out) == (0, "6\n")
    assert "one: done in" in done.err


def test_quiet_says_nothing_on_stderr(home: Path) -> None:
    assert tea("run", "count.yaml", "--quiet", home=home) == Done(0, "2\n", "")


def test_without_an_answer_the_state_is_printed_as_yaml(home: Path) -> None:
    import yaml

    done = tea("run", "state.yaml", "--quiet", home=home)
    assert yaml.safe_load(done.out) == {"made": {"text": "two\nlines é", "list": [1, 2.5, None, True]}}
    assert "    two\n    lines é" in done.out


@pytest.mark.parametrize("how", ["flag", "file", "stdin"])
def test_input_comes_from_the_flag_a_file_or_stdin(home: Path, how: str) -> None:
    (home / "in put.json").write_text('{"start": 40}')
    argument = {"flag": '{"start": 40}', "file": "@in put.json", "stdin": "-"}[how]
    done = tea("run", "count.yaml", "-q", "-i", argument, home=home, stdin='{"start": 40}')
    assert done.out == "42\n"


def test_output_json_is_one_object_when_the_run_is_done(home: Path) -> None:
    done = tea("run", "count.yaml", "--output", "json", "--run-id", "my.run-1", home=home)
    value = one_object(done)
    assert value["state"] == {"first": 1, "answer": 2}
    assert value["run"]["status"] == "finished"
    assert value["run"]["id"] == "my.run-1"


def test_output_json_is_one_object_when_the_run_fails(home: Path) -> None:
    done = tea("run", "failing.yaml", "--output", "json", home=home)
    value = one_object(done)
    assert done.code == 1
    assert value["run"]["status"] == "failed"
    assert value["state"] == {"kept": 1}
    error = value["run"]["error"]
    assert error["name"] == "TemplateError"
    assert error["place"].endswith("failing.yaml:6:36")
    assert done.first_error_line.startswith(f"TemplateError: {error['place']}: ")
    assert f"tea resume {value['run']['id']}" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("missing.yaml",),
        ("count.yaml", "--input", "{"),
        ("count.yaml", "--no-such-flag"),
        ("chat.yaml",),
        ("count.yaml", "--run-id", "no spaces"),
        ("code.yaml",),
        ("count.yaml", "--gguf", "x.gguf", "--backend", "api"),
        ("count.yaml", "--gguf", ""),
    ],
)
def test_output_json_is_one_object_even_when_nothing_began(home: Path, arguments: tuple[str, ...]) -> None:
    done = tea("run", *arguments, "--output", "json", home=home)
    value = one_object(done)
    assert done.code == 2
    assert value["state"] == {}
    assert value["run"]["status"] == "failed"
    assert done.first_error_line.startswith(f"{value['run']['error']['name']}: ")
    assert value["run"]["error"]["what"]
    assert "Traceback" not in done.err


def test_a_run_that_never_began_is_not_kept(home: Path) -> None:
    assert tea("run", "chat.yaml", home=home).code == 2
    assert tea("runs", "list", home=home).out == ""


def test_stream_puts_events_on_stdout_and_nothing_else(home: Path) -> None:
    done = tea("run", "count.yaml", "--stream", home=home)
    told = events(done)
    assert (done.code, done.err) == (0, "")
    assert told[0]["type"] == "run_started"
    assert told[-1]["type"] == "finished"
    assert [event["node"] for event in told if event["type"] == "node_finished"] == ["one", "two"]
    assert len({event["run_id"] for event in told}) == 1
    assert all(isinstance(event["at_s"], float) for event in told)


def test_stream_of_a_failed_run_ends_with_failed_and_the_block_is_on_stderr(home: Path) -> None:
    done = tea("run", "failing.yaml", "--stream", home=home)
    assert done.code == 1
    assert events(done)[-1]["type"] == "failed"
    assert done.first_error_line.startswith("TemplateError: ")


def test_inline_code_runs_only_where_the_caller_allows_it(home: Path) -> None:
    refused = tea("run", "code.yaml", home=home)
    assert refused.code == 2
    assert "--allow-code" in refused.err
    allowed = tea("run", "code.yaml", "--allow-code", "-q", "-i", '{"word": "tea"}', home=home)
    assert allowed == Done(0, "TEA\n", "")


def test_a_run_id_that_exists_is_refused_with_2_and_names_resume(home: Path) -> None:
    assert tea("run", "count.yaml", "--run-id", "twice", home=home).code == 0
    done = tea("run", "count.yaml", "--run-id", "twice", home=home)
    assert done.code == 2
    assert done.first_error_line.startswith("RunIdTaken: ")
    assert "tea resume twice" in done.err


def test_no_log_keeps_nothing(home: Path) -> None:
    done = tea("run", "count.yaml", "--no-log", home=home)
    assert (done.code, done.out) == (0, "2\n")
    assert tea("runs", "list", home=home).out == ""


def test_input_that_breaks_the_schema_is_refused_a_field_a_line(home: Path) -> None:
    done = tea("run", "chat.yaml", "-i", '{"qestion": "hi"}', home=home)
    assert done.code == 2
    assert done.first_error_line.startswith("InputInvalid: input.question: is missing")
    assert "did you mean 'question'?" in done.err


def test_a_seed_and_an_unknown_option_of_a_person_in_a_hurry(home: Path) -> None:
    assert tea("run", "count.yaml", "--seed", "7", "-q", home=home).out == "2\n"
    done = tea("run", "count.yaml", "--sede", "7", home=home)
    assert (done.code, done.err) == (
        2,
        "UsageError: tea run: unknown option --sede; did you mean '--seed'?\n",
    )
