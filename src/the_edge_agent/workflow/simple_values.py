"""The simple kinds of values under a file's keys: texts, numbers, names, choices, and JSON as it stands.

One function a kind: it gives the value converted, or notes what is wrong and gives ``UNREADABLE``. This module knows
nothing of tables of keys (see ``reading``), templates or inner objects.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from the_edge_agent import errors
from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.workflow.document import Array, Object, Scalar, Value, plain
from the_edge_agent.workflow.language import NAME, NODE_NAME, Key
from the_edge_agent.workflow.near import did_you_mean
from the_edge_agent.workflow.refusals import Refusals

ERROR_NAMES = frozenset(
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, EdgeAgentError)
) - {"_ManyProblems"}

_NAME = re.compile(NAME)
_NODE_NAME = re.compile(NODE_NAME)
UNREADABLE = object()


def _text(refusals: Refusals, key: Key, value: Value) -> Any:
    """Text; a number is taken as it is written."""
    if isinstance(value, Scalar):
        if isinstance(value.value, str):
            return value.value
        if isinstance(value.value, (int, float)) and not isinstance(value.value, bool):
            return value.text
    refusals.wrong(value, f"{key.name!r}", "text")
    return UNREADABLE


def _texts(refusals: Refusals, key: Key, value: Value) -> Any:
    """A list of texts, or one text."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return (value.value,)
    if not isinstance(value, Array):
        refusals.wrong(value, f"{key.name!r}", "a list of texts")
        return UNREADABLE
    found = [_text(refusals, key, entry) for entry in value.entries]
    return tuple(entry for entry in found if entry is not UNREADABLE)


def _error_names(refusals: Refusals, key: Key, value: Value) -> Any:
    """Names of errors."""
    names = _texts(refusals, key, value)
    if names is UNREADABLE:
        return UNREADABLE
    entries = value.entries if isinstance(value, Array) else [value]
    for name, entry in zip(names, entries, strict=False):
        if name not in ERROR_NAMES:
            refusals.add(entry, f"unknown error {name!r}", did_you_mean(name, ERROR_NAMES))
    return names


def _boolean(refusals: Refusals, key: Key, value: Value) -> Any:
    """Either true or false; YAML 1.1's yes and on are text here."""
    if isinstance(value, Scalar) and isinstance(value.value, bool):
        return value.value
    refusals.wrong(value, f"{key.name!r}", "true or false")
    return UNREADABLE


def _integer(refusals: Refusals, key: Key, value: Value) -> Any:
    """A whole number within the key's bounds."""
    if isinstance(value, Scalar) and isinstance(value.value, int) and not isinstance(value.value, bool):
        return _bounded(refusals, key, value, value.value)
    refusals.wrong(value, f"{key.name!r}", "a whole number")
    return UNREADABLE


def _number(refusals: Refusals, key: Key, value: Value) -> Any:
    """A number within the key's bounds."""
    if (
        isinstance(value, Scalar)
        and isinstance(value.value, (int, float))
        and not isinstance(value.value, bool)
    ):
        return _bounded(refusals, key, value, value.value)
    refusals.wrong(value, f"{key.name!r}", "a number")
    return UNREADABLE


def _bounded(refusals: Refusals, key: Key, value: Value, number: float) -> Any:
    low, high = key.minimum, key.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = f"{low:g} or more" if high is None else f"a number from {low:g} to {high:g}"
        refusals.add(value, f"{key.name!r} is {number}", f"give {bounds}")
        return UNREADABLE
    return number


def _choice(refusals: Refusals, key: Key, value: Value) -> Any:
    """One of the key's choices."""
    if isinstance(value, Scalar) and value.text in key.choices and isinstance(value.value, str):
        return value.value
    if isinstance(value, Scalar):
        refusals.add(value, f"{key.name!r} is {value.text[:60]!r}", _choose(value.text, key.choices))
    else:
        refusals.wrong(value, f"{key.name!r}", f"one of: {', '.join(key.choices)}")
    return UNREADABLE


def read_name(refusals: Refusals, key: Key, value: Value) -> Any:
    """A name that templates can use: letters, digits, _ and -."""
    if isinstance(value, Scalar) and isinstance(value.value, str) and _NAME.match(value.value):
        return value.value
    if isinstance(value, Scalar) and isinstance(value.value, str):
        refusals.add(
            value, f"{key.name!r} is {value.text[:60]!r}", "use letters, digits, _ and -, a letter first"
        )
    else:
        refusals.wrong(value, f"{key.name!r}", "a name")
    return UNREADABLE


def _node_name(refusals: Refusals, key: Key, value: Value) -> Any:
    """The name of a node: not empty, not reserved."""
    text = _text(refusals, key, value)
    if text is UNREADABLE or _NODE_NAME.match(text):
        return text
    if text.startswith("__"):
        refusals.add(value, f"the name {text[:60]!r} is reserved", "begin it with a letter")
    else:
        refusals.add(
            value,
            f"{text[:60]!r} is no name",
            "use up to 100 letters, digits, blanks, and _ . - between them",
        )
    return UNREADABLE


def _node(refusals: Refusals, key: Key, value: Value) -> Any:
    """A node that is referred to; whether it exists is checked with the graph."""
    return _text(refusals, key, value)


def _json(_refusals: Refusals, _key: Key, value: Value) -> Any:
    """Any value as it stands."""
    return plain(value)


def _object(refusals: Refusals, key: Key, value: Value) -> Any:
    """An object as it stands."""
    if isinstance(value, Object):
        return plain(value)
    refusals.wrong(value, f"{key.name!r}", "an object")
    return UNREADABLE


def _list(refusals: Refusals, key: Key, value: Value) -> Any:
    """A list as it stands."""
    if isinstance(value, Array):
        return plain(value)
    refusals.wrong(value, f"{key.name!r}", "a list")
    return UNREADABLE


def _later(_refusals: Refusals, _key: Key, value: Value) -> Any:
    """Left for ``build``."""
    return value


Read = Callable[[Refusals, Key, Value], Any]
SIMPLE: Mapping[str, Read] = {
    "text": _text,
    "texts": _texts,
    "nodes": _texts,
    "errors": _error_names,
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "choice": _choice,
    "name": read_name,
    "node_name": _node_name,
    "node": _node,
    "action": _text,
    "json": _json,
    "object": _object,
    "list": _list,
    "expression": _later,
    "tree": _later,
    "params": _later,
    "code": _text,
}


def _choose(text: str, choices: tuple[str, ...]) -> str:
    near = did_you_mean(text, choices)
    return (
        f"{near} one of: {', '.join(choices)}"
        if near.startswith("did")
        else f"choose one of: {', '.join(choices)}"
    )
