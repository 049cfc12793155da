"""``input_schema``, ``state_schema``, ``output_schema`` and ``initial_state`` as frozen values. Knows nothing of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from the_edge_agent.workflow.document import Object, Scalar, Value
from the_edge_agent.workflow.input_schema import Field, check
from the_edge_agent.workflow.pattern import Pattern
from the_edge_agent.workflow.pattern_syntax import PatternInvalid
from the_edge_agent.workflow.reading import Reader, Record


def build_fields(reader: Reader, record: Record, key: str) -> dict[str, Field]:
    """The fields of a schema key of the file."""
    value = record.get(key)
    table = "state_field" if key == "state_schema" else "input_field"
    return _fields(reader, value, table) if isinstance(value, Object) else {}


def _fields(reader: Reader, value: Object, table: str) -> dict[str, Field]:
    found = {name: _field(reader, entry, table, name) for name, entry in value.entries.items()}
    return {name: entry for name, entry in found.items() if entry is not None}


def _field(reader: Reader, value: Value, table: str, name: str) -> Field | None:
    record = reader.record(value, table, f"the field {name!r}")
    if record is None:
        return None
    kind = record.get("type", "any")
    for keys, kinds in _MEANT_FOR:
        for key in keys:
            if record.has(key) and kind not in (*kinds, "any"):
                reader.refusals.add(
                    record.key(key),
                    f"{key!r} has no effect on the type {kind}",
                    f"it is meant for {' and '.join(kinds)}",
                )
    for low, high in (("min", "max"), ("min_length", "max_length")):
        if (
            record.get(low) is not None
            and record.get(high) is not None
            and record.get(low) > record.get(high)
        ):
            reader.refusals.add(record.at(low), f"{low!r} is more than {high!r}", "swap them")
    inner = record.get("items")
    properties = record.get("properties")
    entry = Field(
        type=kind,
        required=record.get("required", False),
        default=record.get("default"),
        has_default=record.has("default"),
        min=record.get("min"),
        max=record.get("max"),
        min_length=record.get("min_length"),
        max_length=record.get("max_length"),
        pattern=_pattern(reader, record),
        choices=tuple(record.get("choices", ())),
        items=None if inner is None else _field(reader, inner, "input_field", "items"),
        properties=_fields(reader, properties, "input_field") if isinstance(properties, Object) else {},
        description=record.get("description", ""),
    )
    if entry.has_default and entry.default is not None:
        _, problems = check({name: entry}, {name: entry.default}, "default", closed=False)
        for problem in problems:
            reader.refusals.add(record.at("default"), f"the default {problem.what}", problem.fix)
    return entry


_MEANT_FOR = (
    (("min", "max"), ("integer", "number")),
    (("min_length", "max_length"), ("string", "array")),
    (("pattern",), ("string",)),
    (("items",), ("array",)),
    (("properties",), ("object",)),
)


def _pattern(reader: Reader, record: Record) -> Pattern | None:
    text = record.get("pattern")
    if text is None:
        return None
    try:
        return Pattern(text)
    except PatternInvalid as error:
        reader.refusals.add(
            record.at("pattern"), f"the pattern can't be used: {error}", "write a simpler one"
        )
        return None


def build_initial_state(reader: Reader, record: Record, fields: Mapping[str, Field]) -> dict[str, Any]:
    """``initial_state``, checked against ``state_schema``, over the defaults that stand there."""
    given: dict[str, Any] = record.get("initial_state") or {}
    defaults = {name: entry.default for name, entry in fields.items() if entry.has_default}
    if fields and given:
        given, problems = check(fields, given, "initial_state", closed=False)
        for problem in problems:
            reader.refusals.add(record.at("initial_state"), f"{problem.place} {problem.what}", problem.fix)
    return {
        **defaults,
        **{key: value for key, value in given.items() if value is not None or key not in defaults},
    }


def build_reducers(record: Record) -> dict[str, str]:
    """The reducer of each key of ``state_schema`` that declares one."""
    value = record.get("state_schema")
    found: dict[str, str] = {}
    for name, entry in value.entries.items() if isinstance(value, Object) else ():
        if isinstance(entry, Object):
            reducer = entry.entries.get("reducer")
            if isinstance(reducer, Scalar) and isinstance(reducer.value, str):
                found[name] = reducer.value
    return found
