"""``goto``, ``on_error`` and ``edges`` as frozen values. Knows nothing of whether the nodes they name exist."""

from __future__ import annotations

from the_edge_agent.workflow.document import Array, Value
from the_edge_agent.workflow.language import SCOPE
from the_edge_agent.workflow.nodes import Edge, Jump, OnError
from the_edge_agent.workflow.reading import Reader, Record
from the_edge_agent.workflow.template import Expression


def build_jumps(reader: Reader, record: Record, names: frozenset[str]) -> tuple[Jump, ...]:
    """A node's ``goto``: one name, or entries of which the first that holds is taken."""
    value = record.get("goto")
    if value is None:
        return ()
    if isinstance(value, str):
        return (Jump(value, None, reader.refusals.place(record.at("goto"))),)
    jumps: list[Jump] = []
    entries = value.entries if isinstance(value, Array) else []
    if not entries:
        reader.refusals.add(record.at("goto"), "'goto' is empty", "name a node, or remove it")
    for entry in entries:
        jump = reader.record(entry, "jump", "the entry of goto")
        if jump is None:
            continue
        if jumps and jumps[-1].condition is None:
            reader.refusals.add(entry, "this is never reached", "put the entry without `if` last")
        if isinstance(jump.get("to"), str):
            place = reader.refusals.place(jump.at("to"))
            jumps.append(Jump(jump.get("to"), _condition(reader, jump, "if", names), place))
    return tuple(jumps)


def build_on_error(reader: Reader, record: Record, names: frozenset[str]) -> OnError | None:
    """A node's or step's ``on_error``; a step has nowhere to go to."""
    value = record.get("on_error")
    if value is None:
        return None
    inner = reader.record(value, "on_error" if record.table.name == "node" else "step_on_error", "on_error")
    if inner is None:
        return None
    if inner.has("goto") == inner.has("fallback") and record.table.name == "node":
        reader.refusals.add(inner.value, "on_error needs one of goto and fallback", "keep or add one")
    fallback = reader.tree(inner.at("fallback"), names) if inner.has("fallback") else None
    return OnError(inner.get("goto"), fallback)


def build_edge(reader: Reader, value: Value) -> Edge | None:
    """An entry of ``edges``."""
    record = reader.record(value, "edge", "the edge")
    if record is None:
        return None
    to = record.get("to")
    targets: tuple[str, ...] = (to,) if isinstance(to, str) else tuple(to or ())
    parallel = record.get("type") == "parallel" or bool(record.get("parallel", False))
    if isinstance(to, tuple):
        if not parallel:
            reader.refusals.add(
                record.at("to"), "several nodes can only start in parallel", "add parallel: true"
            )
        if not to and isinstance(record.at("to"), Array):
            reader.refusals.add(record.at("to"), "'to' is empty", "name the nodes")
        if len(set(targets)) < len(targets):
            reader.refusals.add(record.at("to"), "'to' names a node twice", "name each node once")
    if record.has("fan_in") and not parallel:
        reader.refusals.add(record.key("fan_in"), "only parallel edges have a fan_in", "add parallel: true")
    if not isinstance(record.get("from"), str) or not targets:
        return None
    return Edge(
        from_=record.get("from"),
        to=tuple(dict.fromkeys(targets)),
        condition=_condition(reader, record, "when", frozenset(SCOPE)),
        parallel=parallel,
        fan_in=record.get("fan_in"),
        place=reader.refusals.place(record.value),
    )


def _condition(reader: Reader, record: Record, key: str, names: frozenset[str]) -> Expression | None:
    value = record.get(key)
    return None if value is None else reader.expression(value, names)
