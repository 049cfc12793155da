"""``uses`` and ``with`` as an ActionCall, checked against the action's signature. Knows no particular action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from the_edge_agent.workflow.document import Array, Object, Scalar, Value
from the_edge_agent.workflow.near import did_you_mean
from the_edge_agent.workflow.nodes import ActionCall
from the_edge_agent.workflow.reading import Reader, Record
from the_edge_agent.workflow.signatures import Param, ParamType, Signature, Signatures
from the_edge_agent.workflow.template import Template
from the_edge_agent.workflow.tree import Constant, ListTree, ObjectTree, Tree, object_tree

_A: Mapping[ParamType, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "any": "anything",
}


def build_call(reader: Reader, record: Record, actions: Signatures, names: frozenset[str]) -> ActionCall:
    """The call of a node. Problems are noted with ``reader``."""
    uses = record.get("uses")
    value = record.get("with")
    given: Mapping[str, Value] = {}
    if isinstance(value, Object):
        given = value.entries
    elif value is not None and not (isinstance(value, Scalar) and value.value is None):
        reader.refusals.wrong(value, "'with'", "an object of parameters")
    if not isinstance(uses, str):
        return ActionCall("", Constant({}))
    signature = actions.get(uses)
    if signature is None:
        reader.refusals.add(record.at("uses"), f"unknown action {uses[:60]!r}", did_you_mean(uses, actions))
        for entry in given.values():
            reader.tree(entry, names)
        return ActionCall(uses, Constant({}))
    entries: dict[str, Tree] = {}
    for name, entry in given.items():
        param = signature.param(name)
        if param is None:
            assert isinstance(value, Object)
            allowed = ", ".join(sorted(known.name for known in signature.params))
            near = did_you_mean(name, (known.name for known in signature.params))
            hint = f"{near} " if near.startswith("did") else ""
            reader.refusals.add(
                value.keys[name], f"{uses} has no parameter {name!r}", f"{hint}it takes {allowed or 'none'}"
            )
            reader.tree(entry, names)
            continue
        entries[name] = _param(reader, uses, param, entry, names)
        if name == "tools":
            _check_tools(reader, entry, actions)
    _check_presence(reader, record, signature, given)
    return ActionCall(uses, object_tree(entries))


def _check_presence(reader: Reader, record: Record, signature: Signature, given: Mapping[str, Value]) -> None:
    missing = [param.name for param in signature.params if param.required and param.name not in given]
    place = record.at("with") if record.has("with") else record.at("uses")
    for name in missing:
        param = signature.param(name)
        assert param is not None
        reader.refusals.add(
            place, f"{signature.name} needs {name!r}", f"add it under with: {param.help.lower()}"
        )
    wanted = signature.at_least_one_of
    if wanted and not any(name in given for name in wanted):
        reader.refusals.add(
            place, f"{signature.name} needs {' or '.join(wanted)}", "add one of them under with"
        )


def _param(reader: Reader, uses: str, param: Param, value: Value, names: frozenset[str]) -> Tree:
    if param.raw:
        return _raw(reader, uses, param, value)
    tree = reader.tree(value, names)
    found = _kinds(tree)
    if param.types and "any" not in param.types and found and not found & _accepted(param.types):
        wanted = " or ".join(_A[kind] for kind in param.types)
        reader.refusals.add(value, f"{param.name!r} of {uses} is {_shown(value)}", f"give {wanted}")
    elif isinstance(tree, Constant):
        _check_value(reader, uses, param, value, tree.value)
    return tree


def _raw(reader: Reader, uses: str, param: Param, value: Value) -> Tree:
    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        reader.refusals.wrong(value, f"{param.name!r} of {uses}", "text")
        return Constant("")
    if param.syntax == "template":
        reader.template(value, None)
    elif param.syntax == "expression":
        reader.expression(value, None)
    return Constant(value.value)


def _check_value(reader: Reader, uses: str, param: Param, value: Value, found: Any) -> None:
    if param.choices and isinstance(found, str) and found not in param.choices:
        near = did_you_mean(found, param.choices)
        hint = f"{near} " if near.startswith("did") else ""
        reader.refusals.add(
            value,
            f"{param.name!r} of {uses} is {found[:60]!r}",
            f"{hint}choose one of: {', '.join(param.choices)}",
        )
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        low, high = param.minimum, param.maximum
        if (low is not None and found < low) or (high is not None and found > high):
            bounds = f"{low:g} or more" if high is None else f"a number from {low:g} to {high:g}"
            reader.refusals.add(value, f"{param.name!r} of {uses} is {found}", f"give {bounds}")


def _accepted(types: tuple[ParamType, ...]) -> set[ParamType]:
    accepted: set[ParamType] = set(types)
    if "number" in accepted:
        accepted.add("integer")
    return accepted


def _kinds(tree: Tree) -> set[ParamType]:
    """What the value is sure to be; empty where only running tells."""
    if isinstance(tree, Template):
        return set() if tree.whole else {"string"}
    if isinstance(tree, ObjectTree):
        return {"object"}
    if isinstance(tree, ListTree):
        return {"array"}
    value = tree.value
    if value is None:
        return set()
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "number"}
    if isinstance(value, float):
        return {"number", "integer"} if value.is_integer() else {"number"}
    if isinstance(value, str):
        return {"string"}
    return {"array"} if isinstance(value, list) else {"object"}


def _shown(value: Value) -> str:
    if isinstance(value, Scalar):
        return repr(value.text[:60])
    return "a list" if isinstance(value, Array) else "an object"


def _check_tools(reader: Reader, value: Value, actions: Signatures) -> None:
    """Tools that name an action must name one that exists."""
    for entry in value.entries if isinstance(value, Array) else ():
        uses = entry.entries.get("uses") if isinstance(entry, Object) else None
        if (
            isinstance(uses, Scalar)
            and isinstance(uses.value, str)
            and uses.value not in actions
            and "{" not in uses.text
        ):
            reader.refusals.add(
                uses, f"unknown action {uses.value[:60]!r}", did_you_mean(uses.value, actions)
            )
