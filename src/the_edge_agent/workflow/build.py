"""Turns what was read of a file into the frozen values of ``nodes``; checks what one table alone can't know.

Problems are noted, never raised, and reading goes on, so that a file shows all of them at once. This module knows
nothing of YAML text, of other files (it asks for them) or of how nodes hang together (see ``graph``).
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import cast

from the_edge_agent.workflow.build_action import build_call
from the_edge_agent.workflow.build_routes import build_edge, build_jumps, build_on_error
from the_edge_agent.workflow.build_settings import (
    build_config,
    build_fields,
    build_initial_state,
    build_reducers,
    build_retry,
    build_settings,
)
from the_edge_agent.workflow.document import Array, Object, Scalar, Value
from the_edge_agent.workflow.language import KEYS, SCOPE, Does, Key
from the_edge_agent.workflow.nodes import (
    Body,
    DynamicParallel,
    Empty,
    ExpressionBody,
    InlineCode,
    Node,
    Retry,
    Settings,
    Steps,
    Subgraph,
    WhileLoop,
    Workflow,
)
from the_edge_agent.workflow.reading import NO_EXPRESSION, Reader, Record
from the_edge_agent.workflow.signatures import Signatures
from the_edge_agent.workflow.simple_values import read_name
from the_edge_agent.workflow.template import Expression
from the_edge_agent.workflow.tree import Constant, Tree

Names = frozenset[str]
#: Loads another agent file by path or import name; None where it can't be.
LoadOther = Callable[[Scalar, str], Workflow | None]

_BASE: Names = frozenset(SCOPE)
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


class Builder:
    """Builds the workflow of one file."""

    def __init__(
        self,
        reader: Reader,
        *,
        actions: Signatures,
        allow_code: bool,
        load_other: LoadOther,
    ) -> None:
        self.reader = reader
        self.refusals = reader.refusals
        self.actions = actions
        self.allow_code = allow_code
        self.load_other = load_other
        self.settings = Settings()
        self.imports: dict[str, Scalar] = {}
        self.used_imports: set[str] = set()

    def workflow(self, root: Value | None, *, file: str, text: str, default_name: str) -> Workflow | None:
        """The workflow, or None where the file is no object. Its graph isn't checked yet."""
        if root is None:
            return None
        record = self.reader.record(root, "workflow", "the file")
        if record is None:
            return None
        self.settings = build_settings(self.reader, record)
        self._read_imports(record)
        edges = [
            edge
            for value in _entries(record, "edges")
            if (edge := build_edge(self.reader, value)) is not None
        ]
        joins = {edge.fan_in for edge in edges if edge.fan_in}
        nodes = [
            node for value in _entries(record, "nodes") if (node := self._node(value, joins)) is not None
        ]
        if record.has("nodes") and isinstance(record.at("nodes"), Array) and not _entries(record, "nodes"):
            self.refusals.add(record.at("nodes"), "there are no nodes", "add one: - name: ...")
        state_schema = build_fields(self.reader, record, "state_schema")
        initial_state = build_initial_state(self.reader, record, state_schema)
        workflow = Workflow(
            name=record.get("name") or default_name,
            description=record.get("description") or "",
            version=record.get("version") or "",
            file=file,
            text=text,
            digest="",
            nodes=tuple(nodes),
            edges=tuple(edges),
            variables=record.get("variables") or {},
            initial_state=initial_state,
            input_schema=build_fields(self.reader, record, "input_schema"),
            # The defaults are in the initial state; a null that is written later stays null.
            state_schema={name: replace(entry, has_default=False) for name, entry in state_schema.items()},
            output_schema=build_fields(self.reader, record, "output_schema"),
            reducers=build_reducers(record),
            settings=self.settings,
            config=build_config(self.reader, record, nodes),
        )
        for name, value in self.imports.items():
            if name not in self.used_imports:
                self.refusals.add(
                    value, f"the import {name!r} is never used", f"use it: subgraph: {name}; or remove it"
                )
        return workflow

    def _read_imports(self, record: Record) -> None:
        value = record.get("imports")
        if not isinstance(value, Object):
            return
        for name, entry in value.entries.items():
            if isinstance(entry, Scalar) and isinstance(entry.value, str) and entry.value:
                self.imports[name] = entry
            else:
                self.refusals.wrong(entry, f"the import {name!r}", "the path of an agent file")

    # --- nodes and steps ------------------------------------------------------------------------------------------

    def _node(self, value: Value, joins: set[str]) -> Node | None:
        record = self.reader.record(value, "node", "the node")
        if record is None:
            return None
        name = record.get("name", "")
        names = _BASE | {"parallel_results"} if record.get("fan_in") or name in joins else _BASE
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
        body = self._body(record, does, name, names)
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
            when=self._expression(record, "when", names),
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
            return self.settings.retry if does in ("action", "code", "expression") else Retry()
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

    def _body(self, record: Record, does: Does, name: str, names: Names) -> Body:
        if does == "action":
            return build_call(self.reader, record, self.actions, names)
        if does == "steps":
            return Steps(self._inner(record, "steps", names))
        if does == "code":
            return self._code(record, name)
        if does == "expression":
            return self._run_expression(record, names)
        if does == "while_loop":
            self._need(record, "condition", "body")
            return WhileLoop(
                self._expression(record, "condition", names) or NO_EXPRESSION,
                record.get("max_iterations", 100),
                self._inner(record, "body", names),
            )
        if does == "dynamic_parallel":
            return self._dynamic(record, names)
        if does == "subgraph":
            return self._subgraph(record, names) or Empty()
        return Empty()

    def _need(self, record: Record, *keys: str) -> None:
        for key in keys:
            if not record.has(key):
                self.refusals.add(record.value, f"the {record.get('type')} has no {key!r}", "add it")

    def _inner(self, record: Record, key: str, names: Names) -> tuple[Node, ...]:
        entries = _entries(record, key)
        if record.has(key) and isinstance(record.at(key), Array) and not entries:
            self.refusals.add(record.at(key), f"{key!r} is empty", "add a step, or remove it")
        return self.steps(entries, names)

    def _code(self, record: Record, name: str) -> Body:
        source = record.get("run")
        if not isinstance(source, str):
            return Empty()
        if not self.allow_code:
            self.refusals.add(
                record.at("run"),
                f"the node {name!r} holds Python code, and code isn't allowed",
                "allow it (--allow-code, allow_code=True), or use run: {type: expression, value: ...}",
            )
            return Empty()
        value = record.at("run")
        try:
            ast.parse("def _():\n" + textwrap.indent(source, " ", lambda _line: True) + "\n pass\n")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = (getattr(error, "lineno", None) or 2) - 1
            first = value.line + line if isinstance(value, Scalar) and value.literal else value.line
            place = f"{self.refusals.file}:{first}:{value.column if first == value.line else 1}"
            self.refusals.add_at(place, f"this isn't Python: {getattr(error, 'msg', error)}", "mend the code")
        return InlineCode(source)

    def _run_expression(self, record: Record, names: Names) -> Body:
        value = record.get("run")
        inner = self.reader.record(value, "run_expression", "run") if isinstance(value, Object) else None
        if inner is None:
            return Empty()
        key = inner.get("output_key")
        output = record.get("output")
        if key and output and key != output:
            self.refusals.add(
                inner.at("output_key"), "run has output_key, and the node output", "keep one of them"
            )
        if not key and not output and not record.has("outputs") and not inner.has("output_key"):
            self.refusals.add(inner.value, "nothing takes the value", "add output_key: NAME")
        return ExpressionBody(self._expression(inner, "value", names) or NO_EXPRESSION, key or output or "")

    def _dynamic(self, record: Record, names: Names) -> Body:
        self._need(record, "items")
        item_var, index_var = record.get("item_var", "item"), record.get("index_var", "index")
        for key, name in (("item_var", item_var), ("index_var", index_var)):
            if name in _BASE | {"result", "parallel_results", "loop", "range", "dict", "namespace"}:
                self.refusals.add(record.at(key), f"the name {name!r} is taken", "choose another one")
        if item_var == index_var:
            self.refusals.add(record.key("index_var" if record.has("index_var") else "item_var"),
                              "the item and its index have one name", "choose another one")  # fmt: skip
        inside = names | {item_var, index_var}
        given = [key for key in ("action", "steps", "subgraph") if record.has(key)]
        if len(given) != 1:
            what = " and ".join(given) if given else "nothing to do"
            self.refusals.add(
                record.value, f"the dynamic_parallel has {what}", "give one: action, steps or subgraph"
            )
        if record.has("input") and not record.has("subgraph"):
            self.refusals.add(record.key("input"), "'input' belongs to a subgraph", "remove it")
        body: tuple[Node, ...] = ()
        if record.has("action"):
            body = self.steps([record.at("action")], inside)
        elif record.has("steps"):
            body = self._inner(record, "steps", inside)
        elif record.has("subgraph"):
            subgraph = self._subgraph(record, inside)
            if subgraph is not None:
                body = (
                    Node(
                        name=f"{record.get('name', '')}",
                        place=self.refusals.place(record.value),
                        body=subgraph,
                    ),
                )
        items = record.get("items")
        if isinstance(items, list):
            expression = Expression.constant(items, self.refusals.place(record.at("items")))
        else:
            expression = self._expression(record, "items", names) or NO_EXPRESSION
        return DynamicParallel(
            items=expression,
            item_var=item_var,
            index_var=index_var,
            max_concurrency=record.get("max_concurrency", 0),
            fail_fast=record.get("fail_fast", self.settings.fail_fast),
            body=body,
        )

    def _subgraph(self, record: Record, names: Names) -> Subgraph | None:
        path = record.get("subgraph")
        given = self._params(record, "input", names)
        if not isinstance(path, str):
            return None
        value = cast("Scalar", record.at("subgraph"))
        if path in self.imports:
            self.used_imports.add(path)
            other = self.load_other(self.imports[path], self.imports[path].value)
        else:
            other = self.load_other(value, path)
        return None if other is None else Subgraph(other, given)

    # --- parts of nodes -------------------------------------------------------------------------------------------

    def _params(self, record: Record, key: str, names: Names) -> Tree:
        value = record.get(key)
        if value is None or (isinstance(value, Scalar) and value.value is None):
            return Constant({})
        if not isinstance(value, Object):
            self.refusals.wrong(value, f"{key!r}", "an object")
            return Constant({})
        return self.reader.tree(value, names)

    def _outputs(self, value: Object, names: Names) -> dict[str, Tree]:
        for name in value.entries:
            read_name(self.refusals, Key(name, ("name",), ""), value.keys[name])
        return {name: self.reader.tree(entry, names) for name, entry in value.entries.items()}

    def _expression(self, record: Record, key: str, names: Names) -> Expression | None:
        value = record.get(key)
        return None if value is None else self.reader.expression(value, names)


def _entries(record: Record, key: str) -> list[Value]:
    value = record.get(key)
    return value.entries if isinstance(value, Array) else []
