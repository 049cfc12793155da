"""The ways a run may take from node to node, as plain data: for checks and for drawings.

Follows the rules of the engine's plan, and knows nothing of what is wrong with a graph (see ``graph``) or of how it is
drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from the_edge_agent.workflow.nodes import END, START, Edge, Node

LinkKind: TypeAlias = Literal["next", "goto", "edge", "parallel", "fan_in", "on_error"]


@dataclass(frozen=True, slots=True)
class Link:
    """A way from one node to another. ``condition`` is the text of its condition, empty where there is none."""

    source: str
    target: str
    kind: LinkKind
    condition: str = ""


def links(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[Link, ...]:
    """Every way a run may take, in the order of the file; for drawings."""
    by_source = edges_by_source(edges)
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


def edges_by_source(edges: Sequence[Edge]) -> dict[str, list[Edge]]:
    """The edges that leave each node, in the order of the file."""
    found: dict[str, list[Edge]] = {}
    for edge in edges:
        found.setdefault(edge.from_, []).append(edge)
    return found
