"""The problems of one file, each with its place and a way out. Knows nothing of what is read, and raises nothing."""

from __future__ import annotations

from the_edge_agent.errors import Problem
from the_edge_agent.workflow.document import Array, Object, Value
from the_edge_agent.workflow.nodes import Place

MAX_PROBLEMS = 50


class Refusals:
    """The problems of one file, in the order they were found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []

    def place(self, value: Value) -> Place:
        """Where ``value`` stands."""
        return Place(self.file, value.line, value.column)

    def add(self, value: Value, what: str, fix: str) -> None:
        """Note a problem at ``value``."""
        self.add_at(self.place(value), what, fix)

    def wrong(self, value: Value, what: str, wanted: str) -> None:
        """Note that ``value`` is of the wrong kind."""
        self.add(value, f"{what} is {_found(value)}", f"give {wanted}")

    def add_at(self, place: Place | str, what: str, fix: str) -> None:
        """Note a problem at ``place``; what stands in another file first stays in front."""
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(what, str(place), fix))

    def sorted(self) -> tuple[Problem, ...]:
        """The problems in the order of the file."""
        return tuple(sorted(self.found, key=_position))


def _position(problem: Problem) -> tuple[str, int, int]:
    file, _, rest = problem.place.rpartition(":")
    file, _, line = file.rpartition(":")
    return (file, int(line), int(rest)) if line.isdecimal() and rest.isdecimal() else (problem.place, 0, 0)


def _found(value: Value) -> str:
    if isinstance(value, Object):
        return "an object"
    if isinstance(value, Array):
        return "a list"
    if value.value is None:
        return "empty"
    return repr(value.text) if len(value.text) <= 60 else f"{value.text[:57]!r}..."
