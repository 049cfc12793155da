"""From a node's value to the change of the state, and back from the log. Decides; writes nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from the_edge_agent.engine import delta
from the_edge_agent.engine.frame import Prepared
from the_edge_agent.engine.line import Line
from the_edge_agent.engine.own import adopt
from the_edge_agent.engine.records import Record
from the_edge_agent.errors import NodeFailed
from the_edge_agent.workflow.input_schema import validate_output
from the_edge_agent.workflow.nodes import ExpressionBody, InlineCode, Subgraph
from the_edge_agent.workflow.reducers import reduce
from the_edge_agent.workflow.tree import render_tree

_ABSENT: Any = object()


def written_by(prepared: Prepared, value: Any, scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the node writes, key by key, as it came: ``outputs``, ``output``, or what its body writes of itself."""
    node = prepared.node
    body = node.body
    written: dict[str, Any] = {}
    if isinstance(body, ExpressionBody):
        written[body.output_key] = value
    if node.outputs:
        inner = {**scope, "result": value}
        written.update((key, render_tree(tree, inner)) for key, tree in node.outputs.items())
    elif node.output is not None:
        written[node.output] = value
    elif isinstance(body, InlineCode):
        if value is not None and not isinstance(value, Mapping):
            raise NodeFailed(
                f"the code returned {type(value).__name__}", fix="return a dict of what should change"
            )
        written.update(cast(Mapping[str, Any], value or {}))
    elif isinstance(body, Subgraph) and isinstance(value, Mapping):
        result = cast(Mapping[str, Any], value)
        written.update((key, result[key]) for key in body.workflow.output_schema if key in result)
    return written


def take(
    line: Line,
    written: Mapping[str, Any],
    record: Record | None,
    *,
    reducers: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write into the line's state; what the written keys hold now, and what was written to keys with a reducer.

    ``record`` gets the change, None where none is kept. Raises OutputInvalid for what isn't JSON or breaks
    state_schema; the state is then as it was.
    """
    frame, state = line.frame, line.state
    schema = frame.workflow.state_schema
    if reducers is None:
        reducers = frame.reducers
    updates: dict[str, Any] = {}
    sets: dict[str, delta.Delta] = {}
    puts: dict[str, Any] = {}
    for key, raw in written.items():
        old = state.get(key, _ABSENT)
        value = adopt(raw, old, path=key)
        new = adopt(reduce(reducers[key], state.get(key), value), old, path=key) if key in reducers else value
        if key in schema:
            new = adopt(validate_output({key: schema[key]}, {key: new})[key], old, path=key)
        updates[key] = new
        if key in reducers:
            puts[key] = value
        elif record is not None:
            sets[key] = [new] if old is _ABSENT else delta.diff(old, new)
    if record is not None:
        if sets:
            record["set"] = {**record.get("set", {}), **sets}
        if puts:
            record["put"] = puts
    _note(line, updates, puts)
    if updates:
        line.state = state.updated(updates)
    return updates, puts


def retake(line: Line, record: Record) -> dict[str, Any]:
    """Write into the line's state what the log says; what the written keys hold now. Raises RunLogCorrupt."""
    state = line.state
    reducers = line.frame.reducers
    puts: Mapping[str, Any] = record.get("put", {})
    updates = {key: delta.apply(state.get(key), change) for key, change in record.get("set", {}).items()}
    for key, value in puts.items():
        updates[key] = reduce(reducers[key], state.get(key), value)
    _note(line, updates, puts)
    if updates:
        line.state = state.updated(updates)
    return updates


def output_value(prepared: Prepared, updates: Mapping[str, Any], puts: Mapping[str, Any], rest: Any) -> Any:
    """What containers and ``parallel_results`` see of a node: what it wrote, or its bare value where it wrote nothing."""
    node = prepared.node
    key = node.output if not node.outputs else None
    if key is None and isinstance(node.body, ExpressionBody) and not node.outputs:
        key = node.body.output_key
    if key is not None and key in updates:
        return puts.get(key, updates[key])
    if updates:
        return {name: puts.get(name, value) for name, value in updates.items()}
    return rest


def _note(line: Line, updates: Mapping[str, Any], puts: Mapping[str, Any]) -> None:
    """Remember what a branch wrote, for its fan_in."""
    writes = line.writes
    if writes is None:
        return
    for key in updates:
        if key in puts:
            writes.reduced.append((key, puts[key]))
        else:
            writes.plain[key] = None
