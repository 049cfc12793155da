"""The error tree is one tree, drawn in its docstring, and every error reads the same way."""

from __future__ import annotations

import inspect
import re

import pytest

from the_edge_agent import errors
from the_edge_agent.errors import EdgeAgentError, Problem, WorkflowInvalid

CLASSES = [
    member
    for name, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, Exception) and not name.startswith("_")
]


def test_every_error_stands_in_the_drawing() -> None:
    drawing = errors.__doc__ or ""
    assert [error.__name__ for error in CLASSES if not re.search(rf"\b{error.__name__}\b", drawing)] == []


def test_every_name_in_the_drawing_is_an_error() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(set(drawn) - {error.__name__ for error in CLASSES}) == []


def test_every_error_is_an_edge_agent_error() -> None:
    assert [error.__name__ for error in CLASSES if not issubclass(error, EdgeAgentError)] == []


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("it broke"), "it broke"),
        (Problem("it broke", "a.yaml:3:5"), "a.yaml:3:5: it broke"),
        (Problem("it broke", "a.yaml:3:5", "mend it"), "a.yaml:3:5: it broke; mend it"),
        (Problem("it broke", fix="mend it"), "it broke; mend it"),
    ],
)
def test_a_problem_reads_place_what_and_what_to_do(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_an_error_of_many_problems_prints_one_a_line() -> None:
    error = WorkflowInvalid((Problem("a", "f:1:1"), Problem("b", "f:2:1", "fix b")))
    assert str(error) == "f:1:1: a\nf:2:1: b; fix b"
    assert len(error.problems) == 2
