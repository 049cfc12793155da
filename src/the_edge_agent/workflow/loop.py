"""The ``loop`` of a for block. Knows nothing of syntax trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from the_edge_agent.errors import TemplateError
from the_edge_agent.workflow.frame import Function
from the_edge_agent.workflow.kinds import is_sized
from the_edge_agent.workflow.limits import Budget, weigh
from the_edge_agent.workflow.sandbox import Attributes, Missing, missing


class Loop(Attributes):
    """The ``loop`` of a for block."""

    __slots__ = ("depth0", "entries", "index0", "last_seen", "recurse")

    def __init__(self, entries: list[Any], depth0: int, recurse: Callable[..., Any] | None) -> None:
        self.entries = entries
        self.depth0 = depth0
        self.recurse = recurse
        self.index0 = -1
        self.last_seen: Any = ()

    def attribute(self, name: str) -> Any:
        """What Jinja offers under ``loop.name``."""
        index0, length = self.index0, len(self.entries)
        if name == "previtem":
            return (
                self.entries[index0 - 1] if index0 > 0 else missing("loop.previtem", "this is the first turn")
            )
        if name == "nextitem":
            return (
                self.entries[index0 + 1]
                if index0 + 1 < length
                else missing("loop.nextitem", "this is the last turn")
            )
        if name == "cycle":
            return Function("cycle", self._cycle)
        if name == "changed":
            return Function("changed", self._changed)
        numbers = {
            "index": index0 + 1,
            "index0": index0,
            "first": index0 == 0,
            "last": index0 == length - 1,
            "length": length,
            "revindex": length - index0,
            "revindex0": length - index0 - 1,
            "depth": self.depth0 + 1,
            "depth0": self.depth0,
        }
        return numbers[name] if name in numbers else missing(f"loop.{name}", "loop doesn't have it")

    def call(self, budget: Budget, *args: Any) -> Any:
        """``loop(children)`` in a recursive loop: its text."""
        if self.recurse is None or len(args) != 1:
            raise TemplateError(
                "this loop isn't recursive", fix="write {% for x in y recursive %} and loop(children)"
            )
        return self.recurse(budget, args[0])

    def _cycle(self, _budget: Budget, *values: Any) -> Any:
        return values[self.index0 % len(values)]

    def _changed(self, budget: Budget, *values: Any) -> bool:
        weigh(values, budget)
        changed = values != self.last_seen
        self.last_seen = values
        return changed


def entries_of(value: Any, budget: Budget) -> list[Any]:
    """What a loop goes over, a turn each. Raises TemplateError for what is no list."""
    if isinstance(value, Missing):
        str(value)
    if isinstance(value, str) or is_sized(value):
        budget.take(len(value))
        return list(value)
    raise TemplateError("a loop needs a list", fix="give a list, an object or a text, or use | default([])")
