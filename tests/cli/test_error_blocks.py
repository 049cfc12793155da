"""Errors as blocks: the first line says everything a program or a hurried person needs."""

from __future__ import annotations

import json

from the_edge_agent.cli.errors import error_to_json, exit_code_of, render_error, render_event_error
from the_edge_agent.errors import ModelNotFound, Problem, UsageError, WorkflowInvalid


def test_the_first_line_is_name_place_what_and_what_to_do() -> None:
    error = ModelNotFound("no such file", place="--gguf x.gguf", fix="check the path")
    assert render_error(error) == "ModelNotFound: --gguf x.gguf: no such file; check the path"


def test_every_problem_of_a_file_has_its_own_line() -> None:
    problems = tuple(Problem(f"what {n}", f"a.yaml:{n}:1", f"fix {n}") for n in (1, 2))
    assert render_error(WorkflowInvalid(problems)).splitlines() == [
        "WorkflowInvalid: a.yaml:1:1: what 1; fix 1",
        "  a.yaml:2:1: what 2; fix 2",
    ]


def test_a_thousand_problems_do_not_bury_the_first() -> None:
    problems = tuple(Problem(f"what {n}") for n in range(1000))
    lines = render_error(WorkflowInvalid(problems)).splitlines()
    assert len(lines) == 51
    assert lines[-1].strip() == "... and 950 more problems"


def test_an_error_from_an_event_reads_like_the_error_itself() -> None:
    one = ModelNotFound("no such file", place="here", fix="do that")
    many = WorkflowInvalid((Problem("a", "1"), Problem("b", "2", "fix")))
    for error in (one, many):
        assert render_event_error(error_to_json(error)) == render_error(error)
        json.dumps(error_to_json(error))


def test_a_foreign_exception_is_called_a_defect_and_shows_no_traceback() -> None:
    block = render_error(KeyError("x"))
    assert block.startswith("InternalError: KeyError: 'x'; this is a defect")
    assert "Traceback" not in block


def test_an_operating_system_error_names_the_file() -> None:
    assert render_error(FileNotFoundError(2, "No such file or directory", "a.yaml")) == (
        "FileError: a.yaml: no such file or directory"
    )


def test_usage_errors_exit_with_2_and_others_with_1() -> None:
    assert exit_code_of(UsageError("x")) == 2
    assert exit_code_of(ModelNotFound("x")) == 1
    assert exit_code_of(KeyError("x")) == 1
