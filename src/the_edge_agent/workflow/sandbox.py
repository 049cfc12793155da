"""What a template may reach: names inside values, and methods. Nothing else exists for it.

A key of an object always wins over a method; methods are those of the table below and no others, so there is no way from
a value to its class, to a function's globals or to a formatter that walks attributes. Everything here is pure and
counted (see ``limits``); it knows nothing of Jinja's syntax tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2.runtime import StrictUndefined

from the_edge_agent.errors import TemplateError
from the_edge_agent.workflow.kinds import is_list, is_object, kind_of
from the_edge_agent.workflow.limits import MAX_ENTRIES, Budget, check_entries, check_text


class Missing(StrictUndefined):
    """A key that isn't there. It may be asked whether it is defined and given a default; all else raises."""

    __slots__ = ()


def missing(path: str, why: str) -> Missing:
    """A Missing that says ``path`` and why."""
    return Missing(f"{path or 'the value'} is missing: {why}")


class Method:
    """A method of a value, ready to be called."""

    __slots__ = ("function", "name", "owner")

    def __init__(self, name: str, owner: Any, function: Callable[..., Any]) -> None:
        self.name = name
        self.owner = owner
        self.function = function


# --- names inside values ------------------------------------------------------------------------------------------


def attribute(value: Any, name: str, path: str = "") -> Any:
    """``value.name``: the key, else a permitted method, else Missing."""
    if is_object(value):
        try:
            return value[name]
        except (KeyError, TypeError):
            function = OBJECT_METHODS.get(name)
            if function is not None:
                return Method(name, value, function)
            return missing(path, _keys(value))
    if isinstance(value, str):
        function = TEXT_METHODS.get(name)
        if function is not None:
            return Method(name, value, function)
    elif is_list(value):
        if name in getattr(type(value), "_fields", ()):
            return getattr(value, name)
        function = LIST_METHODS.get(name)
        if function is not None:
            return Method(name, value, function)
    elif isinstance(value, Missing):
        return value
    elif isinstance(value, Attributes):
        return value.attribute(name)
    return missing(path, f"{kind_of(value)} has no {name!r}")


def item(value: Any, key: Any, path: str = "") -> Any:
    """``value[key]``: an entry or Missing; never a method."""
    if is_object(value):
        try:
            return value[key]
        except (KeyError, TypeError):
            return missing(path, _keys(value))
    if isinstance(value, str) or is_list(value):
        if isinstance(key, int):
            try:
                return value[key]
            except IndexError:
                return missing(path, f"there are {len(value)} entries, counted from 0")
        return missing(path, f"{kind_of(value)} has no entry {key!r}")
    if isinstance(value, Missing):
        return value
    if isinstance(value, Attributes) and isinstance(key, str):
        return value.attribute(key)
    return missing(path, f"{kind_of(value)} has no entries")


class Attributes:
    """Base of the template's own objects (``loop``, ``namespace``): they say themselves what can be read."""

    __slots__ = ()

    def attribute(self, name: str) -> Any:
        """The value of ``name`` or Missing."""
        raise NotImplementedError

    def call(self, budget: Budget, *args: Any) -> Any:
        """What calling it gives; most can't be called."""
        del budget, args
        raise TemplateError("this can't be called", fix="call methods of text, lists and objects, or macros")


def _keys(mapping: Mapping[Any, Any]) -> str:
    names = [str(key) for key in list(mapping)[:12]]
    if not names:
        return "the object is empty"
    return f"the object has {', '.join(names)}{', ...' if len(mapping) > len(names) else ''}"


# --- methods ------------------------------------------------------------------------------------------------------


def _text_method(name: str) -> Callable[..., Any]:
    method = getattr(str, name)

    def call(budget: Budget, owner: str, *values: Any, **named: Any) -> Any:
        budget.take(1 + len(owner) // 256)
        return method(str(owner), *values, **named)

    return call


def _padded(name: str) -> Callable[..., Any]:
    method = getattr(str, name)

    def call(budget: Budget, owner: str, width: int, *fill: str) -> str:
        check_text(width)
        budget.take(1 + max(len(owner), width) // 256)
        return method(str(owner), width, *fill)

    return call


def _split(name: str) -> Callable[..., Any]:
    method = getattr(str, name)

    def call(budget: Budget, owner: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
        most = MAX_ENTRIES if maxsplit < 0 else min(maxsplit, MAX_ENTRIES)
        parts: list[str] = method(str(owner), sep, most)
        check_entries(len(parts))
        budget.take(1 + len(parts) + len(owner) // 256)
        return parts

    return call


def _splitlines(budget: Budget, owner: str, keepends: bool = False) -> list[str]:
    check_entries(sum(owner.count(end) for end in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"))
    parts = str(owner).splitlines(keepends)
    budget.take(1 + len(parts) + len(owner) // 256)
    return parts


def replace(budget: Budget, owner: str, old: str, new: str, count: int = -1) -> str:
    """``owner`` with ``old`` replaced by ``new``, at most ``count`` times (-1: everywhere)."""
    times = len(owner) + 1 if not old else owner.count(old)
    if count >= 0:
        times = min(times, count)
    check_text(len(owner) + times * max(0, len(new) - len(old)))
    budget.take(1 + times // 16 + (len(owner) + times * len(new)) // 256)
    return str(owner).replace(old, new, count)


def join_texts(budget: Budget, separator: str, parts: Sequence[str]) -> str:
    """The texts in one, with ``separator`` between them."""
    length = sum(map(len, parts)) + len(separator) * len(parts)
    check_text(length)
    budget.take(1 + len(parts) + length // 256)
    return separator.join(parts)


def _join(budget: Budget, owner: str, values: Any) -> str:
    parts = list(budget.counted(values))
    if not all(isinstance(part, str) for part in parts):
        raise TemplateError("join takes texts", fix="use the filter: values | join(', ')")
    return str(join_texts(budget, str(owner), [str(part) for part in parts]))


def _count(budget: Budget, owner: str, *values: Any) -> int:
    budget.take(1 + len(owner) // 256)
    return owner.count(*values)


TEXT_METHODS: Mapping[str, Callable[..., Any]] = {
    **{
        name: _text_method(name)
        for name in (
            "capitalize", "casefold", "endswith", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal",
            "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "lower", "lstrip", "partition",
            "removeprefix", "removesuffix", "rfind", "rindex", "rpartition", "rstrip", "startswith", "strip",
            "swapcase", "title", "upper",
        )
    },
    **{name: _padded(name) for name in ("center", "ljust", "rjust", "zfill")},
    **{name: _split(name) for name in ("split", "rsplit")},
    "count": _count,
    "join": _join,
    "replace": replace,
    "splitlines": _splitlines,
}  # fmt: skip


def _get(_budget: Budget, owner: Mapping[str, Any], key: str, default: Any = None) -> Any:
    return owner.get(key, default)


def _listed(name: str) -> Callable[..., Any]:
    def call(budget: Budget, owner: Mapping[str, Any]) -> list[Any]:
        budget.take(1 + len(owner) // 16)
        return list(getattr(owner, name)())

    return call


OBJECT_METHODS: Mapping[str, Callable[..., Any]] = {
    "get": _get,
    "items": _listed("items"),
    "keys": _listed("keys"),
    "values": _listed("values"),
}


def _list_method(name: str) -> Callable[..., Any]:
    def call(budget: Budget, owner: Sequence[Any], *values: Any) -> int:
        budget.take(1 + len(owner) // 16)
        return getattr(owner, name)(*values)

    return call


LIST_METHODS: Mapping[str, Callable[..., Any]] = {
    "count": _list_method("count"),
    "index": _list_method("index"),
}
