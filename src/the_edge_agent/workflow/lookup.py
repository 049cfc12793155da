"""Direct look-ups: ``state.a.b`` as a closure over a scope, without detours. Most templates are nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from the_edge_agent.workflow.frame import GLOBALS, Evaluate, Frame
from the_edge_agent.workflow.json_data import as_json
from the_edge_agent.workflow.kinds import is_object, type_of
from the_edge_agent.workflow.limits import Budget
from the_edge_agent.workflow.sandbox import attribute, missing

#: Names whose missing keys are None: the tops of the scope.
NAMESPACES = frozenset({"state", "variables", "secrets", "checkpoint"})

_PATH = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)((?:\.[A-Za-z][A-Za-z0-9_]*)*)\s*\Z")
_WORDS = frozenset(
    {"true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"}
)


def plain_path(text: str, names: Collection[str] | None) -> Callable[[Mapping[str, Any]], Any] | None:
    """A direct look-up for ``state.a.b``; None where the text is anything else or names what isn't there."""
    match = _PATH.match(text)
    if match is None or match[1] in _WORDS or match[1] in GLOBALS:
        return None
    root, rest = match[1], match[2]
    if names is not None and root not in names:
        return None
    keys = rest.split(".")[1:]
    if not keys or root not in NAMESPACES or keys[0] in ("get", "items", "keys", "values"):
        return None
    first = keys[0]
    if len(keys) == 1:

        def look_up(scope: Mapping[str, Any]) -> Any:
            try:
                return scope[root].get(first)
            except KeyError:
                return _absent(root, scope)

        return look_up
    path = f"{root}.{first}"
    steps: list[tuple[str, str]] = []
    for key in keys[1:]:
        path = f"{path}.{key}"
        steps.append((key, path))

    def walk(scope: Mapping[str, Any]) -> Any:
        try:
            value: Any = scope[root].get(first)
        except KeyError:
            return _absent(root, scope)
        for key, key_path in steps:
            value = _step(value, key, key_path)
        kind = type_of(value)
        return value if kind is str or kind is dict or kind is list else as_json(value, Budget())

    return walk


def _step(value: Any, key: str, path: str) -> Any:
    if type(value) is dict and key in value:
        return cast("dict[str, Any]", value)[key]
    return attribute(value, key, path)


def _absent(root: str, scope: Mapping[str, Any]) -> Any:
    return str(missing(root, f"there are {', '.join(sorted(scope))}"))


def _top(value: Any, key: Any) -> Any:
    """``state.key``: None where it is missing."""
    if is_object(value):
        found = value.get(key, value)
        if found is not value:
            return found
        if key in ("get", "items", "keys", "values"):
            return attribute(value, key)
        return None
    return attribute(value, str(key))


def top_of(root: str, name: str) -> Evaluate:
    """``state.name``, the commonest of all, without detours where no block has names of its own."""

    def evaluate(frame: Frame) -> Any:
        if frame.outer is None and not frame.names and root in frame.scope:
            values = frame.scope[root]
            if isinstance(values, dict):
                found = cast("dict[str, Any]", values).get(name)
                if found is not None:
                    return found
        else:
            values = frame.resolve(root)
        return _top(cast("object", values), name)

    return evaluate
