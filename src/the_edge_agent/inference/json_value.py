"""What JSON can hold, as types. Knows nothing of parsing or validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

JsonScalar: TypeAlias = str | int | float | bool | None
#: Read-only view: what frozen values carry. Lists are Sequences, objects are Mappings with string keys.
JsonValue: TypeAlias = "JsonScalar | Sequence[JsonValue] | Mapping[str, JsonValue]"
JsonObject: TypeAlias = "Mapping[str, JsonValue]"


def is_object(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether it is a JSON object, though its keys may not be text."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether it is a JSON array: any sequence that isn't text."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
