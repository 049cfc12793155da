"""Takes values over into the run: JSON only, copied once, shared with what the state holds already.

A result may be a list that its action goes on appending to, or a tuple, or hold a date. ``adopt`` returns the run's own
copy, made of exact dict, list, str, int, float, bool and None, and raises OutputInvalid with the path of what is no
JSON. What equals the old value is the old object, so that ``delta.diff`` and the conflict check can go by identity.
It knows nothing of nodes or logs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import is_
from typing import Any, cast

from the_edge_agent.errors import OutputInvalid

#: Deeper than any honest value, shallower than the JSON encoder's recursion.
MAX_DEPTH = 200
#: Python reads and writes at most 4,300 digits.
MAX_INTEGER_BITS = 14_000
_ABSENT: Any = object()


def adopt(new: Any, old: Any = _ABSENT, *, path: str = "value") -> Any:
    """The run's own copy of ``new``. Raises OutputInvalid where it isn't JSON."""
    return _adopt(new, old, path, MAX_DEPTH)


def _adopt(new: Any, old: Any, path: str, depth: int) -> Any:
    if new is old:
        return old
    kind = new.__class__
    if kind is str or kind is bool:
        return old if type(old) is kind and old == new else new
    if new is None:
        return None
    if kind is int:
        if new.bit_length() > MAX_INTEGER_BITS:
            raise OutputInvalid(f"{path} has more than {MAX_INTEGER_BITS} bits", fix="return it as text")
        return old if type(old) is int and old == new else new
    if kind is float:
        return _adopt_float(new, old, path)
    if depth == 0:
        raise OutputInvalid(
            f"{path[:200]} is nested deeper than {MAX_DEPTH} levels", fix="return a flatter value"
        )
    if kind is dict or isinstance(new, Mapping):
        return _adopt_mapping(new, old, path, depth - 1)
    if kind is list or isinstance(new, tuple | list):
        return _adopt_list(new, old, path, depth - 1)
    return _adopt_subclass(new, old, path)


def _adopt_float(new: float, old: Any, path: str) -> float:
    if not math.isfinite(new):
        raise OutputInvalid(f"{path} is {new}, which JSON can't hold", fix="return a finite number or null")
    same = (
        type(old) is float
        and old == new
        and (new != 0.0 or math.copysign(1.0, old) == math.copysign(1.0, new))
    )
    return old if same else new


def _adopt_mapping(new: Any, old: Any, path: str, depth: int) -> dict[str, Any]:
    before = cast(dict[str, Any], old) if type(old) is dict else dict[str, Any]()
    mine: dict[str, Any] = {}
    same = before is old and len(before) == len(new)
    for key, value in new.items():
        if type(key) is not str:
            if not isinstance(key, str):
                raise OutputInvalid(
                    f"{path} has the key {key!r}, and JSON keys are strings", fix="use string keys"
                )
            key = str(key)  # noqa: PLW2901 - Markup and other str subclasses become plain text
        was = before.get(key, _ABSENT)
        got = value if value is was else _adopt(value, was, f"{path}.{key}", depth)
        mine[key] = got
        same = same and got is was
    # Order is part of a value: a reader of the JSON sees it.
    return before if same and list(before) == list(mine) else mine


def _adopt_list(new: Any, old: Any, path: str, depth: int) -> list[Any]:
    if type(old) is not list:
        return [_adopt(value, _ABSENT, f"{path}[{i}]", depth) for i, value in enumerate(new)]
    before = cast(list[Any], old)
    known = len(before)
    if len(new) >= known and all(map(is_, before, new)):  # the common case, a list that grew: at C speed
        if len(new) == known:
            return before
        tail = [_adopt(value, _ABSENT, f"{path}[{known + i}]", depth) for i, value in enumerate(new[known:])]
        return [*before, *tail]
    mine = [
        _adopt(value, before[i] if i < known else _ABSENT, f"{path}[{i}]", depth)
        for i, value in enumerate(new)
    ]
    return before if len(mine) == known and all(map(is_, mine, before)) else mine


def _adopt_subclass(new: Any, old: Any, path: str) -> Any:
    """Subclasses of the scalars (Markup, IntEnum, numpy.float64) become the plain value."""
    if isinstance(new, str):
        return _adopt(str.__str__(new), old, path, 1)
    if isinstance(new, int):
        return _adopt(int(new), old, path, 1)
    if isinstance(new, float):
        return _adopt_float(float(new), old, path)
    raise OutputInvalid(
        f"{path} is a {type(new).__name__}, which is no JSON value",
        fix="return text, numbers, lists or objects",
    )
