"""A schema as frozen data: what is left once keywords, references and allOf are understood.

Parsed once, read by the validator and by the grammar writer alike. Holds no behaviour but equality of JSON values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias, TypeGuard

from the_edge_agent.inference.json_schema.regex import Pattern
from the_edge_agent.inference.json_value import JsonValue


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No value at all."""


@dataclass(frozen=True, slots=True)
class Null:
    """null."""


@dataclass(frozen=True, slots=True)
class Boolean:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number; bounds are exact decimals. ``step``: the value is a multiple of it."""

    integer: bool = False
    low: Decimal | None = None
    high: Decimal | None = None
    low_open: bool = False
    high_open: bool = False
    step: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A string of ``min_length`` to ``max_length`` code points that matches all of ``patterns``."""

    min_length: int = 0
    max_length: int | None = None
    patterns: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Literals:
    """One of these values."""

    values: tuple[JsonValue, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """``prefix`` by position, then ``items``."""

    prefix: tuple[Shape, ...] = ()
    items: Shape = Anything()
    min_items: int = 0
    max_items: int | None = None


@dataclass(frozen=True, slots=True)
class Property:
    """A named member."""

    name: str
    shape: Shape
    required: bool


@dataclass(frozen=True, slots=True)
class Object:
    """Members in order. ``additional`` is every other member's shape; it is generated only where ``open_stated``:
    where the schema says so, or declares no members at all.
    """

    properties: tuple[Property, ...] = ()
    additional: Shape = Anything()
    open_stated: bool = True
    min_properties: int = 0
    max_properties: int | None = None


@dataclass(frozen=True, slots=True)
class Union:
    """At least one of the options; exactly one if ``exclusive``. ``place`` is the keyword's JSON pointer."""

    options: tuple[Shape, ...]
    exclusive: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class All:
    """Every part at once; gone once ``combine`` has merged it."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A definition by its key."""

    key: str


Shape: TypeAlias = (
    Anything | Nothing | Null | Boolean | Number | Text | Literals | Array | Object | Union | All | Reference
)


@dataclass(frozen=True, slots=True)
class SchemaDocument:
    """A parsed schema: ``root`` and what references in it mean."""

    root: Shape
    definitions: Mapping[str, Shape]


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a JSON number: a bool is none in JSON, though it is an int in Python."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def json_equal(a: JsonValue, b: JsonValue) -> bool:
    """Equality as JSON Schema has it: 1 equals 1.0, but not true; objects without order."""
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, (int, float, str)) or isinstance(b, (int, float, str)):
        return isinstance(a, str) == isinstance(b, str) and a == b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(json_equal(a[key], b[key]) for key in a)
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        return len(a) == len(b) and all(json_equal(x, y) for x, y in zip(a, b, strict=True))
    return False
