"""Nodes and steps as frozen values: how each is called, what it may hold, when it runs, where its result goes.

Notes keys that can't stand where they do. This module leaves what a node does to ``build_bodies`` and knows nothing of how
nodes hang together (see ``graph``).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import cast

from the_edge_agent.workflow.build_bodies import BASE, BodyBuilder, LoadOther, Names, expression_of
from the_edge_agent.workflow.build_routes import build_jumps, build_on_error
from the_edge_agent.workflow.build_settings import build_retry
from the_edge_agent.workflow.document import Object, Scalar, Value
from the_edge_agent.workflow.language import KEYS, Does, Key
from the_edge_agent.workflow.nodes import ExpressionBody, Node, Retry, Settings
from the_edge_agent.workflow.reading import Reader, Record
from the_edge_agent.workflow.signatures import Signatures
from the_edge_agent.workflow.simple_values import read_name
from the_edge_agent.workflow.tree import Tree

_DOES: Mapping[str, Does] = {"uses": "action", "steps": "steps", "subgraph": "subgraph"}
_WORDS: Mapping[Does, str] = {
    "action": "a node with `uses`",
    "steps": "a node with `steps`",
    "code": "a node with `run`",
    "expression": "a node with `run`",
    "while_loop": "a node of type while_loop",
    "dynamic_parallel": "a node of type dynamic_parallel",
    "subgraph": "a node with `subgraph`",
    "nothing": "a node that does nothing but route",
}
_ROUTING = frozenset({"name", "goto", "fan_in", "when"})


class NodeBuilder:
    """Builds the nodes of one file. ``settings`` are the file's."""

    def __init__(
        self,
        reader: Reader,
        *,
        actions: Signatures,
        allow_code: bool,
        settings: Settings,
        load_other: LoadOther,
    ) -> None:
        self.reader = reader
        self.refusals = reader.refusals
        self.retry = settings.retry
        self.bodies = BodyBuilder(
            reader,
            actions=actions,
            allow_code=allow_code,
            fail_fast=settings.fail_fast,
            load_other=load_other,
            steps=self.steps,
        )

    def node(self, value: Value, joins: Container[str]) -> Node | None:
        """A node of the file; None where it is no object. ``joins`` are the nodes where branches meet."""
        record = self.reader.record(value, "node", "the node")
        if record is None:
            return None
        name = record.get("name", "")
        names = BASE | {"parallel_results"} if record.get("fan_in") or name in joins else BASE
        return self._built(record, name, names)

    def steps(self, values: Iterable[Value], names: Names) -> tuple[Node, ...]:
        """The steps of a node, a loop or a branch."""
        built: list[Node] = []
        seen: dict[str, Scalar] = {}
        for number, value in enumerate(values, 1):
            record = self.reader.record(value, "step", "the step")
            if record is None:
                continue
            if record.get("name") in seen:
                self.refusals.add(
                    record.at("name"), f"two steps are called {record.get('name')!r}", "rename one of them"
                )
            elif record.get("name"):
                seen[record.get("name")] = cast("Scalar", record.at("name"))
            built.append(self._built(record, record.get("name") or f"step_{number}", names))
        return tuple(built)

    def _built(self, record: Record, name: str, names: Names) -> Node:
        does = self._does(record)
        self._refuse_misplaced(record, does, name)
        body = self.bodies.body(record, does, name, names)
        reader = self.reader
        outputs = {}
        if isinstance(record.get("outputs"), Object):
            outputs = self._outputs(record.get("outputs"), names | {"result"})
            if record.has("output"):
                self.refusals.add(
                    record.key("outputs"), "the node has output and outputs", "keep one of them"
                )
        output = record.get("output")
        if isinstance(body, ExpressionBody) and output == body.output_key:
            output = None
        retry = self._retry(record, does)
        cache = reader.record(record.get("cache"), "cache") if record.get("cache") is not None else None
        timeout_s = record.get("timeout_s")
        if timeout_s == 0:
            self.refusals.add(
                record.at("timeout_s"), "'timeout_s' is 0", "give a number above 0, or remove it"
            )
        return Node(
            name=name,
            place=self.refusals.place(record.value),
            body=body,
            output=output,
            outputs=outputs,
            when=expression_of(self.reader, record, "when", names),
            goto=build_jumps(reader, record, names),
            fan_in=bool(record.get("fan_in", False)),
            retry=retry,
            timeout_s=timeout_s,
            on_error=build_on_error(reader, record, names),
            cache_ttl_s=cache.get("ttl_s") if cache else None,
            stream=bool(record.get("stream", False)),
        )

    def _retry(self, record: Record, does: Does) -> Retry:
        if not record.has("retry"):
            return self.retry if does in ("action", "code", "expression") else Retry()
        retry = build_retry(self.reader, record.get("retry"))
        # A node that says "one attempt" means it, whatever the settings say; equal to the default it would say nothing.
        return replace(retry, backoff_s=0.0) if retry == Retry() else retry

    def _does(self, record: Record) -> Does:
        if record.get("type") in ("while_loop", "dynamic_parallel"):
            return cast("Does", record.get("type"))
        for key, does in _DOES.items():
            if record.has(key):
                return does
        if record.has("run"):
            return "expression" if isinstance(record.at("run"), Object) else "code"
        return "nothing"

    def _refuse_misplaced(self, record: Record, does: Does, name: str) -> None:
        if does == "nothing" and record.has("type"):
            return
        known = KEYS[record.table.name]
        for key_name in record.value.entries:
            key = known.get(key_name)
            if key is None:
                continue
            if key.only and does not in key.only:
                self._refuse_key(record, key, does)
            elif does == "nothing" and key.name not in _ROUTING:
                self.refusals.add(
                    record.key(key.name),
                    f"{key.name!r} has no effect in {name!r}, which does nothing",
                    "add uses, steps, run, type or subgraph; or remove it",
                )

    def _refuse_key(self, record: Record, key: Key, does: Does) -> None:
        belongs = " or ".join(dict.fromkeys(_WORDS[entry] for entry in key.only))
        self.refusals.add(
            record.key(key.name), f"{key.name!r} can't stand in {_WORDS[does]}", f"it belongs to {belongs}"
        )

    def _outputs(self, value: Object, names: Names) -> dict[str, Tree]:
        for name in value.entries:
            read_name(self.refusals, Key(name, ("name",), ""), value.keys[name])
        return {name: self.reader.tree(entry, names) for name, entry in value.entries.items()}
