"""Follows every way through the nodes from the start: each is reached, and parallel branches stay apart until they meet.

Takes edges whose ``fan_in`` is filled in and whose names exist (see ``graph``). Knows nothing of YAML or of running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from the_edge_agent.workflow.links import edges_by_source
from the_edge_agent.workflow.nodes import END, START, Edge, Node, Place

Note: TypeAlias = Callable[[Place, str, str], None]


@dataclass(slots=True)
class _Fork:
    """The parallel edges of one node. ``inside`` are the forks its branches start, ``jumps`` where they jump."""

    source: str
    starts: tuple[str, ...]
    join: str
    place: Place
    inside: set[str] = field(default_factory=set[str])
    jumps: list[tuple[str, str, Place]] = field(default_factory=list[tuple[str, str, Place]])


#: A branch: the node that forks, and the branch's first node. None is the main line.
_Branch: TypeAlias = tuple[str, str] | None


class Walk:
    """Follows every way from the start, each node once a branch."""

    def __init__(
        self, nodes: Sequence[Node], edges: Sequence[Edge], known: Mapping[str, Node], note: Note
    ) -> None:
        self.nodes = nodes
        self.known = known
        self.note = note
        self.by_source = edges_by_source(edges)
        self.following = {node.name: after.name for node, after in pairwise(nodes)}
        self.forks: dict[str, _Fork] = {}
        self.seen: set[tuple[str, _Branch]] = set()
        self.stack: list[tuple[str, _Branch]] = []
        self.noted: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Walk, then note what the walk shows."""
        self._leave(START, None)
        while self.stack:
            name, branch = self.stack.pop()
            if (name, branch) not in self.seen and name in self.known:
                self.seen.add((name, branch))
                self._leave(name, branch)
        reached = {name for name, _ in self.seen}
        for node in self.nodes:
            if node.name and node.name not in reached:
                self._say(node.place, f"the node {node.name!r} is never reached", "jump to it, or remove it")
        self._check_forks()

    def _say(self, place: Place, what: str, fix: str) -> None:
        if (str(place), what) not in self.noted:
            self.noted.add((str(place), what))
            self.note(place, what, fix)

    def _leave(self, name: str, branch: _Branch) -> None:
        node = self.known.get(name)
        certain = False
        for jump in node.goto if node else ():
            self._go(name, jump.to, branch, jump.place)
            certain = certain or jump.condition is None
        if node is not None and node.on_error is not None and node.on_error.goto is not None:
            self._go(name, node.on_error.goto, branch, node.place)
        if certain:
            return
        for edge in self.by_source.get(name, ()):
            if edge.parallel:
                self._start(name, branch)
            else:
                self._go(name, edge.to[0], branch, edge.place)
            if edge.condition is None:
                return
        if branch is None:
            following = self.nodes[0].name if name == START else self.following.get(name)
            if following is not None:
                self.stack.append((following, None))

    def _go(self, source: str, target: str, branch: _Branch, place: Place) -> None:
        if branch is None:
            self.stack.append((target, None))
            return
        fork = self.forks[branch[0]]
        if target == fork.join:
            return
        fork.jumps.append((source, target, place))
        if target == END:
            self._say(
                place,
                f"{source!r} is in a branch of {fork.source!r}, which can't end the run",
                f"go to its fan_in, {fork.join!r}",
            )
        elif target in fork.starts and target != branch[1]:
            self._say(
                place,
                f"the branch {branch[1]!r} jumps into its sibling {target!r}",
                f"go to the fan_in, {fork.join!r}, or start the branch elsewhere",
            )
        else:
            self.stack.append((target, branch))

    def _start(self, source: str, branch: _Branch) -> None:
        if branch is not None:
            self.forks[branch[0]].inside.add(source)
        fork = self.forks.get(source)
        if fork is None:
            group = [edge for edge in self.by_source[source] if edge.parallel]
            join = group[0].fan_in
            if join is None:
                join = ""
            starts = tuple(dict.fromkeys(target for edge in group for target in edge.to))
            fork = self.forks[source] = _Fork(source, starts, join, group[0].place)
            self.stack += [(start, (source, start)) for start in starts if start != join]
        if fork.join:
            if branch is not None and fork.join == self.forks[branch[0]].join:
                self._say(
                    fork.place,
                    f"the inner branches of {source!r} meet where the outer ones do, at {fork.join!r}",
                    "let them meet at a node of their own",
                )
            else:
                self.stack.append((fork.join, branch))

    def _check_forks(self) -> None:
        for name, fork in self.forks.items():
            around = list(self._around(name))
            if name in around:
                self._say(
                    fork.place,
                    f"the branches of {name!r} lead back to {name!r}",
                    "let them go to their fan_in",
                )
                continue
            joins = {self.forks[outer].join for outer in around} - {fork.join, ""}
            for source, target, place in fork.jumps:
                if target in joins:
                    self._say(
                        place, f"{source!r} jumps past its fan_in to {target!r}", f"go to {fork.join!r} first"
                    )

    def _around(self, name: str) -> Iterator[str]:
        """The forks whose branches start this one, from near to far; itself where it lies in a circle."""
        seen: set[str] = set()
        stack = [outer for outer, fork in self.forks.items() if name in fork.inside]
        while stack:
            outer = stack.pop()
            if outer not in seen:
                seen.add(outer)
                yield outer
                stack += [other for other, fork in self.forks.items() if outer in fork.inside]
