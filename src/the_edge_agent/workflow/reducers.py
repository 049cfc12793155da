"""How a written value joins what a state key holds: the small set of reducers, as pure functions.

``state_schema: {key: {reducer: append}}`` declares one. Every write to that key goes through it: ``state[key] =
reduce(name, state.get(key), written)``, in a line of nodes as in parallel branches, whose writes are applied at the
fan-in in branch order, each branch's in the order it made them. A key without a reducer is overwritten, and two branches
may not both write it. This module knows nothing of branches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from the_edge_agent.errors import OutputInvalid

Reducer = Callable[[Any, Any], Any]


def _replace(_current: Any, written: Any) -> Any:
    return written


def _append(current: Any, written: Any) -> Any:
    return [*_list(current, "append"), written]


def _extend(current: Any, written: Any) -> Any:
    return [*_list(current, "extend"), *_list(written, "extend")]


def _union(current: Any, written: Any) -> Any:
    result = list(_list(current, "union"))
    for entry in _list(written, "union"):
        if entry not in result:
            result.append(entry)
    return result


def _merge(current: Any, written: Any) -> Any:
    return {**_object(current, "merge"), **_object(written, "merge")}


def _add(current: Any, written: Any) -> Any:
    return _number(0 if current is None else current, "add") + _number(written, "add")


def _max(current: Any, written: Any) -> Any:
    return (
        _number(written, "max") if current is None else max(_number(current, "max"), _number(written, "max"))
    )


def _min(current: Any, written: Any) -> Any:
    return (
        _number(written, "min") if current is None else min(_number(current, "min"), _number(written, "min"))
    )


def _list(value: Any, reducer: str) -> Any:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise OutputInvalid(
            f"the reducer {reducer} takes lists, not {value!r:.60}",
            fix="write a list, or use another reducer",
        )
    return value  # pyright: ignore[reportUnknownVariableType]


def _object(value: Any, reducer: str) -> Any:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise OutputInvalid(
            f"the reducer {reducer} takes objects, not {value!r:.60}",
            fix="write an object, or use another reducer",
        )
    return value  # pyright: ignore[reportUnknownVariableType]


def _number(value: Any, reducer: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OutputInvalid(
            f"the reducer {reducer} takes numbers, not {value!r:.60}",
            fix="write a number, or use another reducer",
        )
    return value


#: Every reducer by name, and what it does in words (for the docs and the schema).
REDUCERS: Mapping[str, tuple[Reducer, str]] = {
    "replace": (_replace, "the written value takes the place of the old one; the last branch wins"),
    "append": (_append, "the written value is put at the end of the list, as one entry"),
    "extend": (_extend, "the entries of the written list are put at the end of the list"),
    "union": (_union, "like extend, without entries that are there already"),
    "merge": (_merge, "the keys of the written object are put into the object"),
    "add": (_add, "the written number is added"),
    "max": (_max, "the larger number stays"),
    "min": (_min, "the smaller number stays"),
}


def reduce(name: str, current: Any, written: Any) -> Any:
    """What the key holds after ``written``. ``current`` None: nothing yet. Raises OutputInvalid for a wrong kind."""
    return REDUCERS[name][0](current, written)
