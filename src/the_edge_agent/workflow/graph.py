"""Checks how the nodes of a workflow hang together: every jump leads somewhere, every edge can count, branches meet.

Pure functions over ``nodes``. The rules are those of the engine's plan: goto, else edges, else the next node in the
list; in a branch its fan_in instead of the next node. Where they lead is walked by ``reach``. This module knows nothing of
YAML or of running.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from the_edge_agent.workflow.links import edges_by_source
from the_edge_agent.workflow.near import did_you_mean
from the_edge_agent.workflow.nodes import END, START, Edge, Node, Place
from the_edge_agent.workflow.reach import Note, Walk


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
        Walk(nodes, edges, known, note).run()
    return tuple(edges)


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
    for source, leaving in edges_by_source(edges).items():
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
    by_source = edges_by_source(edges)
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
