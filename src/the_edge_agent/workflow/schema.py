"""The JSON Schema for editors, made from the tables of ``language`` and the signatures of the actions.

It admits at least what the loader admits: whatever the loader accepts is valid, and most mistakes are marked while typing.
This module knows nothing of loading. ``python -m the_edge_agent.workflow.schema`` prints it.
"""

from __future__ import annotations

import json
from typing import Any

from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.language import NAME, TABLES, Key, Table
from the_edge_agent.workflow.signatures import Param, Signature, Signatures
from the_edge_agent.workflow.simple_values import ERROR_NAMES

Schema = dict[str, Any]

#: A text that a template makes at run time, so that its kind isn't known while typing.
_TEMPLATED: Schema = {"type": "string", "pattern": r"\{[{%]"}
_NUMBER_OR_TEXT: Schema = {"type": ["string", "number"]}
_SIMPLE: dict[str, Schema] = {
    "text": _NUMBER_OR_TEXT,
    "texts": {"anyOf": [{"type": "string"}, {"type": "array", "items": _NUMBER_OR_TEXT}]},
    "nodes": {"anyOf": [{"type": "string"}, {"type": "array", "items": _NUMBER_OR_TEXT}]},
    "errors": {
        "anyOf": [{"$ref": "#/$defs/error_name"}, {"type": "array", "items": {"$ref": "#/$defs/error_name"}}]
    },
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "name": {"type": "string", "pattern": NAME},
    "node_name": {"type": ["string", "number"]},
    "node": _NUMBER_OR_TEXT,
    "action": {"$ref": "#/$defs/action_name"},
    "json": {},
    "object": {"type": "object"},
    "list": {"type": "array"},
    "expression": {"type": ["string", "boolean", "number"]},
    "tree": {},
    "params": {"type": ["object", "null"]},
    "code": {"type": "string"},
}


def agent_schema(actions: Signatures = BUILTIN) -> Schema:
    """The schema of an agent file that may use ``actions``, as a JSON value."""
    definitions: Schema = {table.name: _table(table, actions) for table in TABLES.values()}
    definitions["error_name"] = {"enum": sorted(ERROR_NAMES)}
    definitions["action_name"] = {"enum": sorted(actions)}
    for signature in actions.values():
        definitions[f"with:{signature.name}"] = _with(signature)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The Edge Agent: agent file",
        "$ref": "#/$defs/workflow",
        "$defs": definitions,
    }


def schema_text(actions: Signatures = BUILTIN) -> str:
    """The schema as the file that is published."""
    return json.dumps(agent_schema(actions), indent=1, ensure_ascii=False) + "\n"


def _table(table: Table, actions: Signatures) -> Schema:
    schema: Schema = {
        "description": table.title.replace("`", ""),
        "type": "object",
        "properties": {key.name: _key(key) for key in table.keys},
        "additionalProperties": False,
    }
    required = [key.name for key in table.keys if key.required]
    if required:
        schema["required"] = required
    if table.name in ("node", "step"):
        schema["allOf"] = [_when_uses(signature) for signature in actions.values()]
    if table.shorthand:
        shorthand = table.key(table.shorthand)
        assert shorthand is not None
        return {"anyOf": [{"enum": list(shorthand.choices)}, schema]}
    return schema


def _key(key: Key) -> Schema:
    kinds = [_kind(kind, key) for kind in key.kinds]
    schema: Schema = {"description": _described(key.help, key.default)}
    schema.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
    return schema


def _described(text: str, default: str) -> str:
    return f"{text} Default: {default}." if default else text


def _kind(kind: str, key: Key) -> Schema:
    shape, _, name = kind.partition(":")
    if name:
        inner: Schema = {"$ref": f"#/$defs/{name}"} if name in TABLES else _NAMED.get(name, {})
        if shape == "list":
            return {"type": "array", "items": inner}
        if shape == "map":
            return {"type": "object", "additionalProperties": inner}
        return inner
    if kind == "choice":
        return {"enum": list(key.choices)}
    schema = dict(_SIMPLE[kind])
    if kind in ("integer", "number"):
        if key.minimum is not None:
            schema["minimum"] = key.minimum
        if key.maximum is not None:
            schema["maximum"] = key.maximum
    return schema


_NAMED: Schema = {"import": {"type": "string"}, "tree": {}}


def _when_uses(signature: Signature) -> Schema:
    return {
        "if": {"properties": {"uses": {"const": signature.name}}, "required": ["uses"]},
        "then": {"properties": {"with": {"$ref": f"#/$defs/with:{signature.name}"}}},
    }


def _with(signature: Signature) -> Schema:
    schema: Schema = {
        "description": f"{signature.help} Returns {signature.returns}.",
        "type": ["object", "null"],
        "properties": {param.name: _param(param) for param in signature.params},
        "additionalProperties": False,
    }
    required = [param.name for param in signature.params if param.required]
    if required:
        schema["required"] = required
    if signature.at_least_one_of:
        schema["anyOf"] = [{"required": [name]} for name in signature.at_least_one_of]
    return schema


def _param(param: Param) -> Schema:
    if not param.types or "any" in param.types:
        return {"description": param.help}
    exact: Schema = {"enum": list(param.choices)} if param.choices else {"type": [*param.types]}
    if param.minimum is not None:
        exact["minimum"] = param.minimum
    if param.maximum is not None:
        exact["maximum"] = param.maximum
    if param.raw or (param.types == ("string",) and not param.choices):
        return {"description": param.help, **exact, "type": ["string", "null"] if not param.raw else "string"}
    return {"description": param.help, "anyOf": [exact, _TEMPLATED, {"type": "null"}]}


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201 - this is its one purpose
