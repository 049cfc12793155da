"""How the nodes of a workflow hang together: every jump leads somewhere, every node is reached, branches stay apart.

Pure functions over ``nodes``. The rules are those of the engine's plan: goto, else edges, else the next node in the
list; in a branch its fan_in instead of the next node. This module knows nothing of YAML or of running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, TypeAlias

from the_edge_agent.workflow.near import did_you_mean
from the_edge_agent.workflow.nodes import END, START, Edge, Node, Place

Note: TypeAlias = Callable[[Place, str, str], None]
LinkKind: TypeAlias = Literal["next", "goto", "edge", "parallel", "fan_in", "on_error"]


@dataclass(frozen=True, slots=True)
class Link:
    """A way from one node to another. ``condition`` is the text of its condition, empty where there is none."""

    source: str
    target: str
    kind: LinkKind
    condition: str = ""


def check_graph(nodes: Sequence[Node], edges: Sequence[Edge], note: Note) -> tuple[Edge, ...]:
    """Note every problem; return the edges with the fan_in of each parallel one filled in.

    Where names are wrong, nothing is said about what can't be reached: that would only follow from them.
    """
    wrong = 0

    def count(place: Place, what: str, fix: str) -> None:
        nonlocal wrong
        wrong += 1
        note(place, what, fix)

    known = _check_names(nodes, edges, count)
    edges = _with_fan_in(nodes, edges, known, count)
    _check_order(nodes, edges, note)
    if nodes and not wrong:
        _Walk(nodes, edges, known, note).run()
    return tuple(edges)


def links(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[Link, ...]:
    """Every way a run may take, in the order of the file; for drawings."""
    by_source = _by_source(edges)
    joins = _joins_of_branches(nodes, by_source)
    found: list[Link] = []
    following: dict[str, str] = {node.name: after.name for node, after in pairwise(nodes)}
    first = nodes[0].name if nodes else END
    for source in (START, *(node.name for node in nodes)):
        node = next((node for node in nodes if node.name == source), None)
        certain = False
        for jump in node.goto if node else ():
            found.append(Link(source, jump.to, "goto", jump.condition.text if jump.condition else ""))
            certain = certain or jump.condition is None
        if not certain:
            for edge in by_source.get(source, ()):
                condition = edge.condition.text if edge.condition else ""
                kind: LinkKind = "parallel" if edge.parallel else "edge"
                found.extend(Link(source, target, kind, condition) for target in edge.to)
                certain = certain or edge.condition is None
        if not certain:
            if source in joins:
                found.append(Link(source, joins[source], "fan_in"))
            else:
                found.append(Link(source, first if source == START else following.get(source, END), "next"))
        if node and node.on_error and node.on_error.goto:
            found.append(Link(source, node.on_error.goto, "on_error", "on error"))
    return tuple(found)


def _joins_of_branches(nodes: Sequence[Node], by_source: Mapping[str, Sequence[Edge]]) -> dict[str, str]:
    """The fan_in of each node that runs in a branch."""
    by_name = {node.name: node for node in nodes}
    joins: dict[str, str] = {}
    for edges in by_source.values():
        for edge in edges:
            if not edge.parallel or not edge.fan_in:
                continue
            stack = list(edge.to)
            while stack:
                name = stack.pop()
                if name in joins or name == edge.fan_in or name not in by_name:
                    continue
                joins[name] = edge.fan_in
                stack += [jump.to for jump in by_name[name].goto]
                stack += [
                    target
                    for out in by_source.get(name, ())
                    for target in ((out.fan_in or END,) if out.parallel else out.to)
                ]
    return joins


def _by_source(edges: Sequence[Edge]) -> dict[str, list[Edge]]:
    found: dict[str, list[Edge]] = {}
    for edge in edges:
        found.setdefault(edge.from_, []).append(edge)
    return found


# --- names --------------------------------------------------------------------------------------------------------


def _check_names(nodes: Sequence[Node], edges: Sequence[Edge], note: Note) -> dict[str, Node]:
    known: dict[str, Node] = {}
    for node in nodes:
        if not node.name:
            continue
        if node.name in known:
            note(
                node.place,
                f"two nodes are called {node.name!r}, the first in line {known[node.name].place.line}",
                "rename one of them",
            )
        else:
            known[node.name] = node

    def check(name: str, place: Place, *, start: bool = False, end: bool = True) -> None:
        if name in known or (name == START and start) or (name == END and end):
            return
        if name in (START, END):
            note(place, f"{name} can't stand here", "name a node")
            return
        note(place, f"there is no node {name[:60]!r}", did_you_mean(name, [*known, END] if end else known))

    for node in nodes:
        for jump in node.goto:
            check(jump.to, jump.place)
        if node.on_error is not None and node.on_error.goto is not None:
            check(node.on_error.goto, node.place)
    for edge in edges:
        check(edge.from_, edge.place, start=True, end=False)
        for target in edge.to:
            check(target, edge.place, end=not edge.parallel)
        if edge.fan_in is not None:
            check(edge.fan_in, edge.place, end=False)
    return known


def _check_order(nodes: Sequence[Node], edges: Sequence[Edge], note: Note) -> None:
    """Edges that can never be followed."""
    routed = {node.name for node in nodes if any(jump.condition is None for jump in node.goto)}
    for source, leaving in _by_source(edges).items():
        if source in routed:
            for edge in leaving:
                note(
                    edge.place,
                    f"this edge is never followed: {source!r} has a goto",
                    "remove the edge or the goto",
                )
            continue
        decided: Edge | None = None
        for edge in leaving:
            if decided is not None and not (decided.parallel and edge.parallel):
                note(
                    edge.place,
                    f"this edge is never followed: the one in line {decided.place.line} has no `when`",
                    "give that one a `when`, or make both parallel",
                )
            elif edge.condition is None:
                decided = decided or edge


# --- fan_in -------------------------------------------------------------------------------------------------------


def _with_fan_in(
    nodes: Sequence[Node], edges: Sequence[Edge], known: Mapping[str, Node], note: Note
) -> list[Edge]:
    by_source = _by_source(edges)
    filled: dict[str, str | None] = {}
    led_to: dict[str, str] = {}
    for source, leaving in by_source.items():
        found = _joins_led_to([edge for edge in leaving if edge.parallel], known, by_source)
        if len(found) == 1:
            led_to[source] = found.pop()
    claimed = {edge.fan_in for edge in edges if edge.parallel and edge.fan_in} | set(led_to.values())
    for source, leaving in by_source.items():
        group = [edge for edge in leaving if edge.parallel]
        if not group:
            continue
        given = list(dict.fromkeys(edge.fan_in for edge in group if edge.fan_in))
        if len(given) > 1:
            note(
                group[0].place,
                f"the parallel edges of {source!r} meet at {' and '.join(map(repr, given))}",
                "let them meet at one node",
            )
        join = given[0] if given else led_to.get(source)
        if join is None:
            left = [node.name for node in nodes if node.fan_in and node.name not in claimed]
            join = left[0] if len(left) == 1 else None
        filled[source] = join
        if join is None:
            note(
                group[0].place,
                f"the branches of {source!r} have no fan_in",
                "add fan_in: NODE to the edge, or fan_in: true to the node where they meet",
            )
        for edge in group:
            if join in edge.to:
                note(
                    edge.place,
                    f"{join!r} is a branch and the fan_in",
                    "let the branches meet at another node",
                )
    joins = set(filled.values())
    for node in nodes:
        if node.fan_in and node.name not in joins:
            note(node.place, f"no branches meet at {node.name!r}", "name it as the fan_in of a parallel edge")
    return [
        replace(edge, fan_in=filled.get(edge.from_)) if edge.parallel and edge.fan_in is None else edge
        for edge in edges
    ]


def _joins_led_to(
    group: Sequence[Edge], known: Mapping[str, Node], by_source: Mapping[str, Sequence[Edge]]
) -> set[str]:
    """The nodes with ``fan_in: true`` that the branches lead to by goto and edges, the first on each way."""
    seen: set[str] = set()
    found: set[str] = set()
    stack = [target for edge in group for target in edge.to]
    while stack:
        name = stack.pop()
        if name in seen or name not in known:
            continue
        seen.add(name)
        if known[name].fan_in:
            found.add(name)
            continue
        stack += [jump.to for jump in known[name].goto]
        stack += [target for edge in by_source.get(name, ()) if not edge.parallel for target in edge.to]
    return found


# --- reaching -----------------------------------------------------------------------------------------------------


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


class _Walk:
    """Follows every way from the start, each node once a branch."""

    def __init__(
        self, nodes: Sequence[Node], edges: Sequence[Edge], known: Mapping[str, Node], note: Note
    ) -> None:
        self.nodes = nodes
        self.known = known
        self.note = note
        self.by_source = _by_source(edges)
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
