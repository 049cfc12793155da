"""A workflow made ready to run: its plan, and for each node what needn't be worked out at every visit.

A run has one frame for its file and one for each subgraph. It knows nothing of state or logs.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from the_edge_agent.engine.action import Action, Actions
from the_edge_agent.engine.address import segment
from the_edge_agent.engine.foresight import Foresight
from the_edge_agent.engine.inner_nodes import inner_nodes
from the_edge_agent.engine.permissions import intersect
from the_edge_agent.engine.plan import Plan
from the_edge_agent.errors import UsageError
from the_edge_agent.inference import JsonObject, JsonValue
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.nodes import (
    ActionCall,
    Empty,
    ExpressionBody,
    InlineCode,
    LlmSettings,
    Node,
    Permissions,
    Retry,
    Settings,
    Workflow,
)
from the_edge_agent.workflow.signatures import Signature
from the_edge_agent.workflow.template import Expression, Template
from the_edge_agent.workflow.tree import Constant, ObjectTree, Tree

_LEAVES = (ActionCall, InlineCode, ExpressionBody, Empty)
_NO_RETRY = Retry()


@dataclass(frozen=True, slots=True)
class Call:
    """An action call made ready: ``raw`` parameters are given as they are, ``tree`` renders the others.

    ``trusted`` actions are the product's own: they leave what they are handed unchanged, so they are handed the state's
    own values; others get copies.
    """

    uses: str
    action: Action
    signature: Signature | None
    tree: Tree
    raw: Mapping[str, JsonValue]
    trusted: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A node with what is known of it before it runs."""

    node: Node
    name: str
    segment: str
    place: str
    leaf: bool
    retry: Retry
    ask_before: bool
    ask_after: bool
    call: Call | None
    stream: bool


#: Steps with their segments in the address tree.
Sequence: TypeAlias = tuple[tuple[Prepared, str], ...]


class Frame:
    """One workflow, ready. ``outer`` is the frame of the workflow that holds it as a subgraph."""

    def __init__(
        self,
        workflow: Workflow,
        actions: Actions,
        *,
        permissions: Permissions,
        variables: JsonObject,
        outer: Frame | None = None,
    ) -> None:
        self.workflow = workflow
        self.plan = Plan(workflow)
        self.base_dir = os.path.dirname(workflow.file) or "."  # noqa: PTH120 - a browser has no pathlib flavour to choose
        self.permissions = intersect(
            workflow.settings.permissions,
            permissions,
            base_dir=os.path.abspath(self.base_dir),  # noqa: PTH100 - as above
        )
        self.settings = _settings(workflow.settings, outer.settings if outer else None)
        self.foresight = Foresight(self.plan, self.settings.llm, self.base_dir)
        self.variables: JsonObject = {**workflow.variables, **variables}
        self.reducers = workflow.reducers
        self._actions = actions
        for node in workflow.nodes:
            self._check_actions(node)
        self._prepared: dict[int, Prepared] = {}
        self._sequences: dict[int, Sequence] = {}

    def prepared(self, node: Node) -> Prepared:
        """The node made ready; the same object every time."""
        found = self._prepared.get(id(node))
        if found is None:
            found = self._prepared[id(node)] = self._prepare(node)
        return found

    def sequence(self, nodes: tuple[Node, ...]) -> Sequence:
        """Steps with one segment each; steps of one name are told apart by a number."""
        found = self._sequences.get(id(nodes))
        if found is None:
            counts: dict[str, int] = {}
            entries: list[tuple[Prepared, str]] = []
            for node in nodes:
                prepared = self.prepared(node)
                counts[prepared.segment] = count = counts.get(prepared.segment, 0) + 1
                entries.append((prepared, prepared.segment if count == 1 else f"{prepared.segment}~{count}"))
            found = self._sequences[id(nodes)] = tuple(entries)
        return found

    def _check_actions(self, node: Node) -> None:
        """Raises UsageError where a node calls an action that isn't there: better now than an hour into the run."""
        body = node.body
        if isinstance(body, ActionCall) and body.uses not in self._actions:
            raise UsageError(
                f"no action {body.uses!r} was given to this run",
                place=str(node.place),
                fix="pass it in actions, under this name",
            )
        for inner in inner_nodes(body):
            self._check_actions(inner)

    def _prepare(self, node: Node) -> Prepared:
        leaf = isinstance(node.body, _LEAVES)
        config = self.workflow.config
        call = self._call(node.body) if isinstance(node.body, ActionCall) else None
        own_retry = node.retry != _NO_RETRY or not leaf
        return Prepared(
            node=node,
            name=node.name,
            segment=segment(node.name),
            place=str(node.place),
            leaf=leaf,
            retry=node.retry if own_retry else self.settings.retry,
            ask_before=node.name in config.interrupt_before,
            ask_after=node.name in config.interrupt_after,
            call=call,
            stream=node.stream or (call is not None and call.uses == "llm.stream"),
        )

    def _call(self, body: ActionCall) -> Call:
        action = self._actions[body.uses]
        signature = BUILTIN.get(body.uses)
        names = {param.name for param in signature.params if param.raw} if signature else set[str]()
        tree = body.params
        raw: dict[str, JsonValue] = {}
        if names and isinstance(tree, ObjectTree):
            raw = {name: _source(entry) for name, entry in tree.entries.items() if name in names}
            tree = ObjectTree({name: entry for name, entry in tree.entries.items() if name not in names})
        module = getattr(action, "__module__", "") or ""
        return Call(body.uses, action, signature, tree, raw, module.startswith("the_edge_agent."))


def _source(tree: Tree | Expression) -> Any:
    """A raw parameter as it stands in the file."""
    if isinstance(tree, Template | Expression):
        return tree.text
    return tree.value if isinstance(tree, Constant) else tree.render({})


def _settings(own: Settings, outer: Settings | None) -> Settings:
    """A subgraph's settings: its own, and its holder's models where it names none."""
    if outer is None or own.llm != LlmSettings():
        return own
    return replace(own, llm=outer.llm)
