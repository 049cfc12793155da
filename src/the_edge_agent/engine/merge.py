"""Puts the states of parallel branches together where they meet. Pure; knows nothing of how branches run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from the_edge_agent.engine.state import State
from the_edge_agent.errors import StateConflict

#: (name of the reducer, value so far or None, written value) -> value
Reduce: TypeAlias = Callable[[str, Any, Any], Any]


@dataclass(slots=True)
class Writes:
    """What a branch wrote, in order. ``reduced`` holds each write to a key that has a reducer."""

    plain: dict[str, None] = field(default_factory=dict[str, None])
    reduced: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])

    def copy(self) -> Writes:
        """What was written up to now."""
        return Writes(dict(self.plain), list(self.reduced))

    def add(self, other: Writes) -> None:
        """Take over what branches inside this one wrote."""
        self.plain.update(other.plain)
        self.reduced.extend(other.reduced)


@dataclass(frozen=True, slots=True)
class BranchResult:
    """How a branch ended: its first node's name, its state, what it wrote, and its last node's output value."""

    name: str
    state: State
    writes: Writes
    output: Any = None


def merge(
    base: State,
    branches: Sequence[BranchResult],
    reducers: Mapping[str, str],
    reduce: Reduce,
    *,
    place: str = "",
) -> tuple[State, Writes]:
    """The state at the fan_in: branch by branch, in their order, each key by its reducer where it has one.

    Raises StateConflict naming both branches when two wrote one key that has none; that they wrote equal values
    doesn't count, or the error would depend on the data.
    """
    updates: dict[str, Any] = {}
    writer: dict[str, str] = {}
    all_writes = Writes()
    for branch in branches:
        for key in branch.writes.plain:
            if key in writer:
                raise StateConflict(
                    f"the branches {writer[key]!r} and {branch.name!r} both wrote {key!r}",
                    place=place,
                    fix=f"give {key!r} a reducer in state_schema, or let each branch write its own key",
                )
            writer[key] = branch.name
            updates[key] = branch.state[key]
        for key, written in branch.writes.reduced:
            updates[key] = reduce(reducers[key], updates.get(key, base.get(key)), written)
        all_writes.add(branch.writes)
    return base.updated(updates), all_writes
