"""Decides what runs next; runs nothing and keeps nothing. Like graphlib's ready/done, for graphs with loops and joins.

For one workflow, ``Plan`` answers two questions: where does it begin (``begin``), and where does it go once a node is
done (``after``). The rules, in order:

1. a node's own ``goto``: the first entry whose condition holds;
2. else the edges that leave it: the first whose condition holds. Is that one parallel, then all parallel edges of the
   node whose conditions hold start together, and meet at their fan_in;
3. else, on the main line, the next node in the list, or the end after the last;
4. else, inside a branch, its fan_in: list order never applies there.

A ``Move`` is what was decided, and ``Move.decision`` is its name in the log: a resumed run takes the decision from
there (``decode``) and evaluates no condition again. Conditions reach the plan as a function, so that it knows nothing
of templates or state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from the_edge_agent.errors import RunLogCorrupt, StepLimitExceeded
from the_edge_agent.workflow.nodes import END, START, Edge, Node, Workflow

if TYPE_CHECKING:
    from the_edge_agent.workflow.template import Expression

#: Whether a condition holds, in the state after the node.
Holds: TypeAlias = "Callable[[Expression], bool]"


@dataclass(frozen=True, slots=True)
class Run:
    """Run this node next."""

    node: Node

    @property
    def decision(self) -> str:
        """How the log names it."""
        return self.node.name


@dataclass(frozen=True, slots=True)
class Fork:
    """Run one branch from each of ``branches``, all at once, then ``fan_in`` (None: the end of the line)."""

    branches: tuple[Node, ...]
    fan_in: Node | None

    @property
    def decision(self) -> list[str]:
        """How the log names it: the branches, and where they meet."""
        return [*(node.name for node in self.branches), self.fan_in.name if self.fan_in else END]


@dataclass(frozen=True, slots=True)
class Finish:
    """The line ends: the run, or the branch that has come to its fan_in."""

    @property
    def decision(self) -> str:
        """How the log names it."""
        return END


Move: TypeAlias = Run | Fork | Finish
FINISH = Finish()


class Plan:
    """The routes of one workflow, worked out once."""

    def __init__(self, workflow: Workflow) -> None:
        self.max_steps = workflow.settings.max_steps
        self._nodes = {node.name: node for node in workflow.nodes}
        self._runs = {name: Run(node) for name, node in self._nodes.items()}
        self._edges: dict[str, list[Edge]] = {}
        for edge in workflow.edges:
            self._edges.setdefault(edge.from_, []).append(edge)
        names = list(self._nodes)
        self._next: dict[str, Move] = {name: self._runs[following] for name, following in pairwise(names)}
        self._first: Move = self._runs[names[0]] if names else FINISH
        #: Where nothing has to be decided there is only one answer.
        self._certain: dict[str, Move] = {
            name: self._next.get(name, FINISH)
            for name, node in self._nodes.items()
            if not node.goto and name not in self._edges
        }

    def begin(self, holds: Holds) -> Move:
        """The first move: an edge from ``__start__``, else the first node."""
        return self._by_edges(START, holds, None) or self._first

    def after(self, node: Node, holds: Holds, fan_in: str | None = None) -> Move:
        """The move once ``node`` is done. ``fan_in`` is the join of the branch it ran in, None on the main line."""
        name = node.name
        if fan_in is None and (certain := self._certain.get(name)):
            return certain
        for jump in node.goto:
            if jump.condition is None or holds(jump.condition):
                return self._to(jump.to, fan_in)
        decided = self._by_edges(name, holds, fan_in)
        if decided is not None:
            return decided
        return self._next.get(name, FINISH) if fan_in is None else FINISH

    def certain(self, node: Node, fan_in: str | None = None) -> Move | None:
        """The move once ``node`` is done, whatever happens; None where a condition decides it."""
        return _unless_open(lambda: self.after(node, _open, fan_in))

    def certain_begin(self) -> Move | None:
        """The first move; None where a condition decides it."""
        return _unless_open(lambda: self.begin(_open))

    def jump(self, name: str, fan_in: str | None = None) -> Move:
        """The move that goes to a node by name, as on_error's goto does."""
        return self._to(name, fan_in)

    def decode(self, decision: str | list[str], fan_in: str | None = None) -> Move:
        """The move that a log names. Raises RunLogCorrupt where the workflow has no such nodes."""
        try:
            if isinstance(decision, str):
                return self._to(decision, fan_in)
            *starts, join = decision
            return self._fork(starts, join)
        except (KeyError, ValueError) as error:
            raise RunLogCorrupt(
                f"the log says the run went on to {decision!r}, and the workflow in it has no such node",
                fix="the log was altered; start a new run",
            ) from error

    def check_steps(self, path: list[str]) -> None:
        """Raises StepLimitExceeded once a line has taken more nodes than settings.max_steps; gives the path."""
        if len(path) <= self.max_steps:
            return
        node = self._nodes.get(path[-1])
        raise StepLimitExceeded(
            f"node {path[-1]!r} would be number {len(path)}, and settings.max_steps is {self.max_steps}; "
            f"the path was {path_text(path)}",
            place=str(node.place) if node else "",
            fix="check the condition that should end the loop, or raise settings.max_steps",
        )

    def _to(self, name: str, fan_in: str | None) -> Move:
        if name in {END, fan_in}:
            return FINISH
        return self._runs[name]

    def _by_edges(self, name: str, holds: Holds, fan_in: str | None) -> Move | None:
        edges = self._edges.get(name, ())
        for index, edge in enumerate(edges):
            if edge.condition is not None and not holds(edge.condition):
                continue
            if not edge.parallel:
                return self._to(edge.to[0], fan_in)
            others = [
                other
                for other in edges[index + 1 :]
                if other.parallel and (other.condition is None or holds(other.condition))
            ]
            starts = dict.fromkeys(start for together in (edge, *others) for start in together.to)
            return self._fork(starts, edge.fan_in or END)
        return None

    def _fork(self, starts: Iterable[str], join: str) -> Fork:
        return Fork(tuple(self._nodes[start] for start in starts), None if join == END else self._nodes[join])


class _Open(Exception):
    """Somebody looked at a condition."""


def _open(_condition: Expression) -> bool:
    raise _Open


def _unless_open(decide: Callable[[], Move]) -> Move | None:
    try:
        return decide()
    except _Open:
        return None


def path_text(path: list[str], *, ends: int = 8) -> str:
    """A path for people: whole when short, else its two ends and how many are left out."""
    if len(path) <= 2 * ends + 1:
        return " → ".join(path)
    hidden = len(path) - 2 * ends
    return " → ".join([*path[:ends], f"({hidden} more)", *path[-ends:]])
