"""One execution of a node as a value: where it runs, which attempt it is, and what its body came to.

Knows nothing of how it is carried out (see ``execution``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from the_edge_agent.engine import address as addresses
from the_edge_agent.engine.action import CallReport
from the_edge_agent.engine.frame import Prepared
from the_edge_agent.engine.line import Line
from the_edge_agent.engine.records import Record

#: The value of a node that ``when`` skipped.
SKIPPED: Any = object()


@dataclass(slots=True)
class Turn:
    """One execution. ``want``: somebody asks for its output value; ``routed``: a move follows it."""

    line: Line
    prepared: Prepared
    address: str
    scope: dict[str, Any]
    want: bool
    routed: bool
    number: int = 1
    """The attempt, from 1."""
    used: int = 0
    """Attempts that an earlier life of the run used up before it failed here; a resumed run gets as many again."""
    report: CallReport = field(default_factory=CallReport)
    record: Record | None = None
    """Its commit, where it is only recalled from the log."""
    questions: int = 0

    @property
    def inside(self) -> str:
        """Prefix of what the node holds."""
        return addresses.attempt(self.address, self.number)

    @property
    def wants_inside(self) -> bool:
        """Whether the value of what the node holds is asked for: by somebody around it, or to be written."""
        node = self.prepared.node
        return self.want or node.output is not None or bool(node.outputs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A body's value. ``turns`` is how often a loop ran; ``changes`` what a cached container wrote when it ran."""

    value: Any = None
    turns: int | None = None
    cached: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
