"""Moves a schema into a larger one: references inside keep meaning what they meant. Pure."""

from __future__ import annotations

from typing import Any

from the_edge_agent.inference.json_value import JsonObject, JsonValue, is_array, is_object

_TABLES = frozenset({"properties", "$defs", "definitions"})
_LISTS = frozenset({"prefixItems", "anyOf", "oneOf", "allOf"})
_SINGLE = frozenset({"items", "additionalProperties"})


def rebased(schema: JsonObject, pointer: str) -> JsonObject:
    """The schema as it must be written at ``pointer`` (``#/anyOf/0``) of another document.

    Data (enum, const, default) is left alone, also where it looks like a reference. What is malformed stays as it
    is, to be refused where it is read.
    """
    return {name: _moved(name, value, pointer) for name, value in schema.items()}


def _moved(name: str, value: JsonValue, pointer: str) -> JsonValue:
    if name == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/")):
        return f"{pointer}{value[1:]}"
    if name in _TABLES and is_object(value):
        return {key: _schema(inner, pointer) for key, inner in value.items()}
    if name in _LISTS and is_array(value):
        return [_schema(inner, pointer) for inner in value]
    if name in _SINGLE:
        return _schema(value, pointer)
    return value


def _schema(value: Any, pointer: str) -> Any:
    return rebased(value, pointer) if is_object(value) else value
