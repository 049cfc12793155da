"""Where one line of execution stands: its state, its place in the address tree, what it has visited.

The main line is one; every branch and every item of a dynamic_parallel is one more. Steps and loop bodies run on the
line of the node that holds them. A line belongs to exactly one task. It knows nothing of logs or events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from the_edge_agent.engine.merge import Writes
from the_edge_agent.engine.state import State
from the_edge_agent.workflow.nodes import START

if TYPE_CHECKING:
    from the_edge_agent.engine.frame import Frame


@dataclass(slots=True)
class Line:
    """``prefix`` begins every address on it; ``fan_in`` is where a branch ends; ``extras`` are more names in scope."""

    frame: Frame
    state: State
    prefix: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fan_in: str | None = None
    writes: Writes | None = None
    visits: dict[str, int] = field(default_factory=dict[str, int])
    path: list[str] = field(default_factory=list[str])
    address: str = START
    results: list[dict[str, Any]] | None = None
    """``parallel_results`` for the fan_in node that comes next."""
    deadlines: tuple[asyncio.Timeout, ...] = ()
    """The timeouts that are running around it; they stand still while a person is asked."""

    def visit(self, name: str) -> int:
        """Note that the node is entered; which visit it is, from 1."""
        count = self.visits.get(name, 0) + 1
        self.visits[name] = count
        self.path.append(name)
        return count

    def branch(self, prefix: str, fan_in: str | None) -> Line:
        """A line for a branch: same state to begin with, own writes."""
        return Line(
            self.frame,
            self.state,
            prefix,
            self.extras,
            fan_in,
            Writes(),
            deadlines=self.deadlines,
            address=prefix,
        )

    def item(self, prefix: str, names: Mapping[str, Any]) -> Line:
        """A line for an item: what it writes stays on it."""
        return Line(self.frame, self.state, prefix, {**self.extras, **names}, deadlines=self.deadlines)
