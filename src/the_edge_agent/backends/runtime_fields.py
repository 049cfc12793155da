"""Fields of the daemon's JSON: taken by name and type, so that only what is listed exists. Knows no particular message."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.inference import ToolCall

T = TypeVar("T")
Json = dict[str, Any]


def plain_json(value: Any) -> Any:
    """Frozen views as dicts and lists."""
    if isinstance(value, Mapping):
        return {str(name): plain_json(item) for name, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in cast("list[Any]", value)]
    return value


def finite(value: float) -> float:
    """The number, or the lowest one that JSON can hold in place of minus infinity and NaN."""
    return value if math.isfinite(value) else -1e30


def tool_call_to_json(call: ToolCall) -> Json:
    """Every field."""
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def parse_tool_call(tree: Any) -> ToolCall:
    """The call. Raises TypeError, KeyError where its shape is wrong."""
    return ToolCall(typed(str, tree["id"]), typed(str, tree["name"]), typed(str, tree["arguments"]))


def typed(kind: type[T], value: object) -> T:
    """The value, if it is of that type. Raises TypeError."""
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} is no {kind.__name__}")
    return value


class FieldReader:
    """Takes fields out of a mapping by type and remembers which, so that a field too many is found."""

    def __init__(self, tree: object, place: str) -> None:
        if not isinstance(tree, Mapping):
            raise ActionParamsInvalid("must be an object", place=place)
        self.tree = cast("Mapping[str, Any]", tree)
        self.place = place
        self._seen: set[str] = set()

    def get(self, name: str, default: Any) -> Any:
        """The field as it is."""
        self._seen.add(name)
        return self.tree.get(name, default)

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        return self._typed(name, default, str, "give a string")

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        return self._typed(name, default, bool, "give true or false")

    def list_(self, name: str) -> list[Any]:
        """A list; empty where the field is absent."""
        return self._typed(name, [], list, "give a list")  # pyright: ignore[reportUnknownVariableType]

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object; empty where the field is absent."""
        return self._typed(name, {}, dict, "give an object")  # pyright: ignore[reportUnknownVariableType]

    def number_or_none(self, name: str) -> float | None:
        """Seconds above 0, or None."""
        value = self.get(name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise self.wrong(name, "give seconds above 0")
        return float(value)

    def choice(self, name: str, allowed: tuple[Any, ...], default: Any) -> Any:
        """One of the allowed values."""
        value = self.get(name, default)
        if value not in allowed:
            raise self.wrong(name, f"give one of {', '.join(str(item) for item in allowed if item)}")
        return value

    def wrong(self, name: str, fix: str) -> ActionParamsInvalid:
        """The error for a field."""
        return ActionParamsInvalid(f"{name} is {self.tree.get(name)!r:.80}", place=self.place, fix=fix)

    def done(self) -> None:
        """Every field was taken. Raises ActionParamsInvalid naming the first that wasn't."""
        unknown = sorted(str(name) for name in self.tree if name not in self._seen)
        if unknown:
            raise ActionParamsInvalid(f"unknown field {unknown[0]!r}", place=self.place)

    def _typed(self, name: str, default: Any, kind: Callable[..., T], fix: str) -> T:
        value = self.get(name, default)
        if not isinstance(value, cast("type[T]", kind)):
            raise self.wrong(name, fix)
        return value
