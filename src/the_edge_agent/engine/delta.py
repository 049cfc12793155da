"""What changed between two JSON values, small enough to log: ``apply(old, diff(old, new)) == new``, types included.

A delta is a JSON array::

    []                               nothing changed
    [value]                          replaced
    ["+", tail]                      text or a list grew at its end
    ["~", start, removed, inserted]  ``removed`` characters or entries from ``start`` on became ``inserted``
    ["[", [[index, delta], ...]]     entries of a list changed in place
    ["{", {key: delta}]              keys of an object changed or came (``[value]``); new keys come last
    ["{", {key: delta}, [removed]]   ... and some went

``diff`` is linear in the value and the delta is linear in the change. It goes by identity first: ``own.adopt`` makes
equal parts identical. It knows nothing of records or nodes.
"""

from __future__ import annotations

from operator import is_not
from typing import Any, TypeAlias

from the_edge_agent.errors import RunLogCorrupt

Delta: TypeAlias = list[Any]
#: Below this many characters a splice of text isn't shorter than the text.
_SHORT_TEXT = 24


def same(a: Any, b: Any) -> bool:
    """Equal as JSON: ``1``, ``1.0`` and ``True`` differ, and so do two orders of keys."""
    if a is b:
        return True
    kind = a.__class__
    if kind is not type(b):
        return False
    if kind is list:
        return len(a) == len(b) and all(map(same, a, b))
    if kind is dict:
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    if kind is float:
        return repr(a) == repr(b)
    return a == b


def diff(old: Any, new: Any) -> Delta:
    """The delta from ``old`` to ``new``."""
    if old is new:
        return []
    kind = new.__class__
    if kind is type(old):
        if kind is str:
            return _diff_text(old, new)
        if kind is list:
            return _diff_list(old, new)
        if kind is dict:
            return _diff_object(old, new)
        if same(old, new):
            return []
    return [new]


def apply(old: Any, delta: Delta) -> Any:
    """``old`` changed by ``delta``; ``old`` itself stays as it is. Raises RunLogCorrupt where they don't fit."""
    try:
        return _apply(old, delta)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise RunLogCorrupt(
            f"a change of kind {delta[:1]!r} doesn't fit the value it should change",
            fix="the log was altered or is of another version",
        ) from error


def _apply(old: Any, delta: Delta) -> Any:
    if not delta:
        return old
    if len(delta) == 1:
        return delta[0]
    match delta:
        case ["+", tail]:
            return old + tail
        case ["~", start, removed, inserted]:
            if not 0 <= start <= start + removed <= len(old):
                raise IndexError(start)
            return old[:start] + inserted + old[start + removed :]
        case ["[", changes]:
            entries = list(old)
            for index, change in changes:
                entries[index] = _apply(entries[index], change)
            return entries
        case ["{", changes, *removed]:
            gone: list[str] = removed[0] if removed else []
            value = {key: entry for key, entry in old.items() if key not in gone} if gone else dict(old)
            for key, change in changes.items():
                value[key] = _apply(value.get(key), change)
            return value
        case _:
            raise ValueError(delta)


def _diff_text(old: str, new: str) -> Delta:
    if old == new:
        return []
    if not old or len(new) < _SHORT_TEXT:
        return [new]
    if new.startswith(old):
        return ["+", new[len(old) :]]
    head = _common_prefix(old, new)
    tail = min(_common_prefix(old[::-1], new[::-1]), min(len(old), len(new)) - head)
    if head + tail < _SHORT_TEXT:
        return [new]
    return ["~", head, len(old) - head - tail, new[head : len(new) - tail]]


def _common_prefix(a: str, b: str) -> int:
    """Length of the common prefix, by bisection over slices: comparing slices runs at C speed."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _diff_list(old: list[Any], new: list[Any]) -> Delta:
    shorter = min(len(old), len(new))
    head = _first_difference(old, new, shorter)
    if head == len(old):
        return ["+", new[head:]] if len(new) > head else []
    tail = 0
    while tail < shorter - head and same(old[-1 - tail], new[-1 - tail]):
        tail += 1
    if len(old) != len(new):
        return ["~", head, len(old) - head - tail, new[head : len(new) - tail]]
    if head + tail == len(old):
        return []
    changes: list[Any] = []
    for index in range(head, len(old) - tail):
        change = diff(old[index], new[index])
        if change:
            changes.append([index, change])
    return ["[", changes]


def _first_difference(old: list[Any], new: list[Any], limit: int) -> int:
    """Index of the first entries that aren't the same; a list that only grew is passed at C speed."""
    if not any(map(is_not, old, new)):
        return limit
    for index in range(limit):
        if old[index] is not new[index] and not same(old[index], new[index]):
            return index
    return limit


def _diff_object(old: dict[str, Any], new: dict[str, Any]) -> Delta:
    gone = [key for key in old if key not in new]
    kept = [key for key in old if key in new]
    if [key for key in new if key in old] != kept or list(new)[: len(kept)] != kept:
        return [new]  # keys changed their order, which only a replacement can say
    changes: dict[str, Delta] = {}
    for key, value in new.items():
        if key not in old:
            changes[key] = [value]
        elif change := diff(old[key], value):
            changes[key] = change
    if not changes and not gone:
        return []
    if not kept:
        return [new]
    return ["{", changes, gone] if gone else ["{", changes]
