"""What a node does, as a frozen body: a call, steps, code, an expression, a loop, branches over items, another file.

Checks what one body alone shows. This module knows nothing of a node's name, retries or routes (see ``build_nodes``), and
of other files only how to ask for one.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterable
from typing import cast

from the_edge_agent.workflow.build_action import build_call
from the_edge_agent.workflow.document import Array, Object, Scalar, Value
from the_edge_agent.workflow.language import SCOPE, Does
from the_edge_agent.workflow.nodes import (
    Body,
    DynamicParallel,
    Empty,
    ExpressionBody,
    InlineCode,
    Node,
    Steps,
    Subgraph,
    WhileLoop,
    Workflow,
)
from the_edge_agent.workflow.reading import NO_EXPRESSION, Reader, Record
from the_edge_agent.workflow.signatures import Signatures
from the_edge_agent.workflow.template import Expression
from the_edge_agent.workflow.tree import Constant, Tree

Names = frozenset[str]
#: Builds the steps that a body holds.
BuildSteps = Callable[[Iterable[Value], Names], tuple[Node, ...]]
#: Loads another agent file by path or import name; None where it can't be.
LoadOther = Callable[[Scalar, str], Workflow | None]

#: The names that every template may use.
BASE: Names = frozenset(SCOPE)


class BodyBuilder:
    """Builds the bodies of one file's nodes. ``steps`` builds what a body holds."""

    def __init__(
        self,
        reader: Reader,
        *,
        actions: Signatures,
        allow_code: bool,
        fail_fast: bool,
        load_other: LoadOther,
        steps: BuildSteps,
    ) -> None:
        self.reader = reader
        self.refusals = reader.refusals
        self.actions = actions
        self.allow_code = allow_code
        self.fail_fast = fail_fast
        self.load_other = load_other
        self.steps = steps

    def body(self, record: Record, does: Does, name: str, names: Names) -> Body:
        """What ``record``, a node or a step that ``does`` this, holds; Empty where it can't be read."""
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
                expression_of(self.reader, record, "condition", names) or NO_EXPRESSION,
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
        entries = entries_of(record, key)
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
        return ExpressionBody(
            expression_of(self.reader, inner, "value", names) or NO_EXPRESSION, key or output or ""
        )

    def _dynamic(self, record: Record, names: Names) -> Body:
        self._need(record, "items")
        item_var, index_var = record.get("item_var", "item"), record.get("index_var", "index")
        for key, name in (("item_var", item_var), ("index_var", index_var)):
            if name in BASE | {"result", "parallel_results", "loop", "range", "dict", "namespace"}:
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
            expression = expression_of(self.reader, record, "items", names) or NO_EXPRESSION
        return DynamicParallel(
            items=expression,
            item_var=item_var,
            index_var=index_var,
            max_concurrency=record.get("max_concurrency", 0),
            fail_fast=record.get("fail_fast", self.fail_fast),
            body=body,
        )

    def _subgraph(self, record: Record, names: Names) -> Subgraph | None:
        path = record.get("subgraph")
        given = self._params(record, "input", names)
        if not isinstance(path, str):
            return None
        other = self.load_other(cast("Scalar", record.at("subgraph")), path)
        return None if other is None else Subgraph(other, given)

    def _params(self, record: Record, key: str, names: Names) -> Tree:
        value = record.get(key)
        if value is None or (isinstance(value, Scalar) and value.value is None):
            return Constant({})
        if not isinstance(value, Object):
            self.refusals.wrong(value, f"{key!r}", "an object")
            return Constant({})
        return self.reader.tree(value, names)


def entries_of(record: Record, key: str) -> list[Value]:
    """The entries of the list under ``key``; none where there is no list."""
    value = record.get(key)
    return value.entries if isinstance(value, Array) else []


def expression_of(reader: Reader, record: Record, key: str, names: Names) -> Expression | None:
    """The expression under ``key``; None where the key isn't there."""
    value = record.get(key)
    return None if value is None else reader.expression(value, names)
