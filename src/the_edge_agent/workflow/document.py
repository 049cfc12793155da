"""The values of a YAML document, each with the place where it stands. Knows nothing of YAML text (see ``compose``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(slots=True)
class Scalar:
    """A scalar. ``value`` is its JSON value, ``text`` its characters; ``line`` and ``column`` count from 1.

    ``literal`` is true for ``|`` blocks, whose lines are the file's lines from the next one on.
    """

    value: Any
    text: str
    line: int
    column: int
    literal: bool = False


@dataclass(slots=True)
class Object:
    """A mapping; ``keys`` has the scalar of each key."""

    entries: dict[str, Value]
    keys: dict[str, Scalar]
    line: int
    column: int
    size: int = 1


@dataclass(slots=True)
class Array:
    """A sequence."""

    entries: list[Value]
    line: int
    column: int
    size: int = 1


Value: TypeAlias = Scalar | Object | Array


def plain(value: Value) -> Any:
    """``value`` as JSON: scalars, lists and objects without places."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, Array):
        return [plain(entry) for entry in value.entries]
    return {key: plain(entry) for key, entry in value.entries.items()}
