"""Which models a run will ask for next, as far as its file alone tells. Pure; knows nothing of who answers or of memory.

Only what is certain counts: moves that no condition decides, nodes without ``when``, models that are written out and no
template. So what is foreseen depends on the file and never on the machine.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, cast

from the_edge_agent.engine.plan import Fork, Move, Plan, Run
from the_edge_agent.engine.ports import BackendChoice
from the_edge_agent.inference import JsonObject, Level, Privacy
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.nodes import (
    ActionCall,
    DynamicParallel,
    LlmSettings,
    Node,
    Steps,
    Subgraph,
    WhileLoop,
    Workflow,
)
from the_edge_agent.workflow.tree import Constant, ObjectTree

#: So many models are told at a time: who plans memory has no use for more.
MAX_CHOICES = 8
_WORDS = ("backend", "model", "model_path", "level", "privacy")


def named_choice(params: JsonObject, llm: LlmSettings, base_dir: str) -> BackendChoice:
    """What an action with these parameters asks for; None where it says nothing."""
    return BackendChoice(
        backend=cast("str | None", params.get("backend")),
        model=cast("str | None", params.get("model")),
        model_path=cast("str | None", params.get("model_path")),
        level=cast("Level | None", params.get("level")),
        privacy=cast("Privacy | None", params.get("privacy")),
        settings=llm,
        base_dir=base_dir,
    )


class Foresight:
    """What a workflow's nodes will ask for. Every answer is worked out once."""

    def __init__(self, plan: Plan, llm: LlmSettings, base_dir: str) -> None:
        self._plan = plan
        self._llm = llm
        self._base_dir = base_dir
        self._ahead: dict[tuple[str, str | None], tuple[BackendChoice, ...]] = {}
        self._orders: dict[tuple[str, ...], tuple[int, ...]] = {}

    def ahead(self, node: Node, fan_in: str | None = None) -> tuple[BackendChoice, ...]:
        """What ``node`` asks for and then the next that asks, in order; empty where that is no more than one model."""
        key = (node.name, fan_in)
        found = self._ahead.get(key)
        if found is None:
            found = self._ahead[key] = _several(self._from(Run(node), fan_in, nodes=2))
        return found

    def branches(self, fork: Fork) -> tuple[BackendChoice, ...]:
        """What the branches ask for first, one model after the other; empty where that is no more than one model."""
        return _several(self._at_fork(fork))

    def order(self, fork: Fork) -> tuple[int, ...]:
        """The branches' indices, those of one model next to each other, so that a model is loaded once for them all."""
        key = tuple(node.name for node in fork.branches)
        found = self._orders.get(key)
        if found is None:
            firsts = [self._first_of(node, fork) for node in fork.branches]
            groups = list(dict.fromkeys(firsts))
            found = tuple(sorted(range(len(firsts)), key=lambda index: groups.index(firsts[index])))
            self._orders[key] = found
        return found

    def _first_of(self, node: Node, fork: Fork) -> BackendChoice | None:
        join = fork.fan_in.name if fork.fan_in else None
        return next(self._from(Run(node), join, nodes=1), None)

    def _at_fork(self, fork: Fork) -> Iterator[BackendChoice]:
        for index in self.order(fork):
            if (choice := self._first_of(fork.branches[index], fork)) is not None:
                yield choice

    def _from(self, move: Move | None, fan_in: str | None, *, nodes: int) -> Iterator[BackendChoice]:
        """The choices of the next so many nodes that ask, along moves that are certain."""
        seen: set[str] = set()
        while nodes and isinstance(move, Run) and move.node.name not in seen:
            node = move.node
            seen.add(node.name)
            asked = False
            for choice in self._of(node):
                asked = True
                yield choice
            nodes -= asked
            move = self._plan.certain(node, fan_in)
        if nodes and isinstance(move, Fork):
            yield from self._at_fork(move)

    def begin(self) -> Iterator[BackendChoice]:
        """The choices of the first node that asks."""
        return self._from(self._plan.certain_begin(), None, nodes=1)

    def _of(self, node: Node) -> Iterator[BackendChoice]:
        if node.when is not None:
            return
        match node.body:
            case ActionCall():
                choice = self._called(node.body)
                if choice is not None:
                    yield choice
            case Steps(inner) | WhileLoop(body=inner) | DynamicParallel(body=inner):
                for step in inner:
                    yield from self._of(step)
            case Subgraph(workflow):
                yield from self._inside(workflow)
            case _:
                pass

    def _inside(self, workflow: Workflow) -> Iterator[BackendChoice]:
        own = workflow.settings.llm
        folder = os.path.dirname(workflow.file) or "."  # noqa: PTH120 - as Frame has it
        llm = self._llm if own == LlmSettings() else own
        return Foresight(Plan(workflow), llm, folder).begin()

    def _called(self, call: ActionCall) -> BackendChoice | None:
        signature = BUILTIN.get(call.uses)
        if signature is None or signature.param("model") is None or signature.param("level") is None:
            return None
        tree = call.params
        given: dict[str, Any] = {}
        if isinstance(tree, Constant):
            given = tree.value
        elif isinstance(tree, ObjectTree):
            words = {name: tree.entries[name] for name in _WORDS if name in tree.entries}
            if not all(isinstance(word, Constant) for word in words.values()):
                return None
            given = {name: word.render({}) for name, word in words.items()}
        return named_choice(given, self._llm, self._base_dir)


def _several(choices: Iterable[BackendChoice]) -> tuple[BackendChoice, ...]:
    """Each once, in order; nothing where there are fewer than two: whoever asks for one loads it by that."""
    found: Sequence[BackendChoice] = list(islice(dict.fromkeys(choices), MAX_CHOICES))
    return tuple(found) if len(found) > 1 else ()
