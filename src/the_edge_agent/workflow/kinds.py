"""What kind of data a value is: checks that a type checker understands, and words that a person does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

#: ``type`` for a type checker that would otherwise narrow what it is asked about.
type_of: Callable[[object], object] = type


def is_object(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Whether it is an object: any mapping."""
    return isinstance(value, Mapping)


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list: a list or a tuple."""
    return isinstance(value, (list, tuple))


def is_sized(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list, an object or a range of numbers: what has a length beside text."""
    return isinstance(value, (list, tuple, range, Mapping))


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether it can be computed with; true and false count as 1 and 0."""
    return isinstance(value, (int, float))


def kind_of(value: Any) -> str:
    """What a person calls the type of ``value``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if is_number(value):
        return "a number"
    if isinstance(value, str):
        return "text"
    if is_object(value):
        return "an object"
    return "a list" if is_list(value) else "no data"
