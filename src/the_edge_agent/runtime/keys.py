"""Dataclasses as tables of configuration keys: read a tree into one, or print its JSON Schema. Knows no particular key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from the_edge_agent.errors import Problem

T = TypeVar("T")
#: Beyond it no number means anything; NaN and infinity aren't below it either.
MAX_NUMBER = 1e300
#: What no name, path or text that leaves this process can hold.
_UNFIT = frozenset({"\0", *map(chr, range(0xD800, 0xE000))})


def key(help_: str, default: Any = MISSING, *, low: float | None = None, high: float | None = None) -> Any:
    """A field of a section: what it means, its default (a callable makes it), and the range of a number."""
    metadata = {"help": help_, "low": low, "high": high}
    if default is MISSING:
        return field(metadata=metadata)
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def read_section(kind: type[T], tree: object, path: str, problems: list[Problem]) -> T | None:
    """The tree as a value of ``kind``; what is wrong is added to ``problems``, and None returned."""
    if not isinstance(tree, Mapping):
        problems.append(Problem("must be a mapping of keys", path))
        return None
    given = cast("Mapping[object, object]", tree)
    hints = get_type_hints(kind)
    known = {entry.name: entry for entry in fields(kind)}  # pyright: ignore[reportArgumentType]
    unknown = [name for name in given if name not in known]
    problems += [
        Problem(f"unknown key {name!r:.80}", path, f"known are {', '.join(known)}") for name in unknown
    ]
    values: dict[str, Any] = {}
    for name, entry in known.items():
        where = f"{path}.{name}" if path else name
        if name in given:
            values[name] = _read_value(hints[name], given[name], entry, where, problems)
        elif entry.default is MISSING and entry.default_factory is MISSING:
            problems.append(Problem("is missing", where, f"it means: {entry.metadata['help']}"))
    return None if problems else kind(**values)


def _read_value(hint: Any, value: object, entry: Field[Any], path: str, problems: list[Problem]) -> Any:
    if is_dataclass(hint):
        return read_section(cast("type[Any]", hint), value if value is not None else {}, path, problems)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None:
            return None
        return _read_value(next(a for a in arguments if a is not NoneType), value, entry, path, problems)
    if origin is Literal:
        if value not in arguments:
            problems.append(
                Problem(f"is {value!r:.80}", path, f"give one of {', '.join(map(str, arguments))}")
            )
        return value
    if origin is tuple:
        if not isinstance(value, list):
            problems.append(Problem("must be a list", path))
            return ()
        items = cast("list[object]", value)
        return tuple(
            _read_value(arguments[0], item, entry, f"{path}[{i}]", problems) for i, item in enumerate(items)
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            problems.append(Problem("must be a mapping of names", path))
            return {}
        named = cast("Mapping[object, object]", value)
        return {
            str(name): _read_value(arguments[1], item, entry, f"{path}.{name}", problems)
            for name, item in named.items()
        }
    return _read_scalar(hint, value, entry, path, problems)


def _read_scalar(hint: Any, value: object, entry: Field[Any], path: str, problems: list[Problem]) -> Any:
    words = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}
    fits = isinstance(value, (int, float) if hint is float else hint)
    if not fits or (isinstance(value, bool) and hint is not bool):
        problems.append(Problem(f"is {value!r:.80}", path, f"give {words[hint]}"))
        return value
    if isinstance(value, str) and not set(value).isdisjoint(_UNFIT):
        problems.append(Problem(f"is {value!r:.80}", path, "give text without NUL and halves of characters"))
    if hint in (int, float):
        number = cast("float", value)
        low, high = entry.metadata["low"], entry.metadata["high"]
        too_low, too_high = low is not None and number < low, high is not None and number > high
        if too_low or too_high or not abs(number) <= MAX_NUMBER:
            bounds = "" if low is None else f" from {low:g}" if high is None else f" from {low:g} to {high:g}"
            problems.append(Problem(f"is {value!r:.80}", path, f"give {words[hint]}{bounds}"))
            return number
        return hint(number)
    return value


def schema_of_section(kind: type[Any]) -> dict[str, Any]:
    """The JSON Schema of one section."""
    hints = get_type_hints(kind)
    entries = fields(kind)
    schema: dict[str, Any] = {
        "type": "object",
        "description": (kind.__doc__ or "").strip(),
        "additionalProperties": False,
        "properties": {entry.name: _schema_of(hints[entry.name], entry) for entry in entries},
    }
    required = [
        entry.name for entry in entries if entry.default is MISSING and entry.default_factory is MISSING
    ]
    return {**schema, "required": required} if required else schema


def _schema_of(hint: Any, entry: Field[Any]) -> dict[str, Any]:
    schema = _schema_of_type(hint, entry)
    schema["description"] = entry.metadata["help"]
    if entry.default is not MISSING:
        default: object = entry.default
        schema["default"] = [] if default == () else default
    return schema


def _schema_of_type(hint: Any, entry: Field[Any]) -> dict[str, Any]:
    if is_dataclass(hint):
        return schema_of_section(cast("type[Any]", hint))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        inner = _schema_of_type(next(a for a in arguments if a is not NoneType), entry)
        nullable: dict[str, Any] = {**inner, "type": [inner["type"], "null"]}
        return {**nullable, "enum": [*inner["enum"], None]} if "enum" in inner else nullable
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema_of_type(arguments[0], entry)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema_of_type(arguments[1], entry)}
    schema: dict[str, Any] = {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[hint]}
    if hint in (int, float):
        schema |= {
            k: entry.metadata[n]
            for k, n in (("minimum", "low"), ("maximum", "high"))
            if entry.metadata[n] is not None
        }
    return schema
