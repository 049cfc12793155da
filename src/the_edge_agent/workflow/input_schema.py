"""Fields of ``input_schema``, ``state_schema`` and ``output_schema``: checking and coercing values. Pure.

Every problem of every field is reported at once, a field one problem. This module knows nothing of YAML; the loader
makes ``Field`` values and checks that they make sense.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from the_edge_agent.errors import InputInvalid, OutputInvalid, Problem
from the_edge_agent.inference import JsonValue
from the_edge_agent.workflow.kinds import is_list, is_object
from the_edge_agent.workflow.near import did_you_mean
from the_edge_agent.workflow.pattern import Pattern

FieldType: TypeAlias = Literal["string", "integer", "number", "boolean", "array", "object", "any"]
FIELD_TYPES: tuple[FieldType, ...] = ("string", "integer", "number", "boolean", "array", "object", "any")

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_A = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "any": "anything",
}


@dataclass(frozen=True, slots=True)
class Field:
    """What a value must be. Lengths count characters of text or entries of lists; ``has_default`` tells null apart."""

    type: FieldType = "any"
    required: bool = False
    default: JsonValue = None
    has_default: bool = False
    min: float | None = None
    max: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: Pattern | None = None
    choices: tuple[JsonValue, ...] = ()
    items: Field | None = None
    properties: Mapping[str, Field] = field(default_factory=dict[str, "Field"])
    description: str = ""


class _Refused(Exception):
    def __init__(self, what: str, fix: str, path: str) -> None:
        super().__init__(what)
        self.problem = Problem(what, path, fix)


def validate_input(fields: Mapping[str, Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, coerced and with defaults. Raises InputInvalid with a problem for each field."""
    checked, problems = check(fields, values, "input", closed=True)
    if problems:
        raise InputInvalid(problems)
    return checked


def validate_output(fields: Mapping[str, Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """The declared keys of the final state, checked; other keys are left alone. Raises OutputInvalid."""
    checked, problems = check(fields, values, "state", closed=False)
    if problems:
        raise OutputInvalid(
            "; ".join(f"{problem.place} {problem.what}" for problem in problems),
            place=problems[0].place,
            fix=problems[0].fix,
        )
    return checked


def validate(fields: Mapping[str, Field], values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """``validate_input`` or ``validate_output``, by ``what``: input or output."""
    return validate_input(fields, values) if what == "input" else validate_output(fields, values)


def check(
    fields: Mapping[str, Field], values: Mapping[str, Any], path: str, *, closed: bool
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The checked values and every problem. ``closed``: keys that aren't declared are problems.

    Without any declared field everything passes.
    """
    if not fields:
        return dict(values), ()
    checked: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, entry in fields.items():
        place = f"{path}.{name}"
        if values.get(name) is None:
            if entry.has_default:
                checked[name] = entry.default
            elif entry.required:
                problems.append(Problem("is missing", place, f"give {_A[entry.type]}"))
            elif name in values:
                checked[name] = None
            continue
        try:
            checked[name] = _coerce(entry, values[name], place)
        except _Refused as refused:
            problems.append(refused.problem)
    for name, value in values.items():
        if name not in fields:
            if closed:
                problems.append(
                    Problem(
                        "is not in the schema", f"{path}.{name}", did_you_mean(name, fields, what="it has")
                    )
                )
            else:
                checked[name] = value
    return checked, tuple(problems)


def _coerce(entry: Field, value: Any, path: str) -> Any:
    value = _typed(entry.type, value, path)
    if entry.choices and value not in entry.choices:
        listed = ", ".join(
            repr(choice) if isinstance(choice, str) else str(choice) for choice in entry.choices[:20]
        )
        raise _Refused(f"is {_short(value)}", f"choose one of: {listed}", path)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if entry.min is not None and value < entry.min:
            raise _Refused(f"is {value}", f"give {entry.min:g} or more", path)
        if entry.max is not None and value > entry.max:
            raise _Refused(f"is {value}", f"give {entry.max:g} or less", path)
    if isinstance(value, str) or is_list(value):
        _check_length(entry, len(value), "characters" if isinstance(value, str) else "entries", path)
    if isinstance(value, str) and entry.pattern is not None:
        matched = entry.pattern.matches(value)
        if matched is None:
            raise _Refused(
                "takes too long to match its pattern", "give a shorter text or a simpler pattern", path
            )
        if not matched:
            raise _Refused(f"is {_short(value)}", f"give text that matches {entry.pattern.text}", path)
    if is_list(value) and entry.items is not None:
        inner = entry.items
        return [_coerce(inner, item, f"{path}[{index}]") for index, item in enumerate(value)]
    if is_object(value) and entry.properties:
        checked, problems = check(entry.properties, value, path, closed=False)
        if problems:
            first = problems[0]
            raise _Refused(first.what, first.fix, first.place)
        return checked
    return value


def _check_length(entry: Field, length: int, of: str, path: str) -> None:
    if entry.min_length is not None and length < entry.min_length:
        raise _Refused(f"has {length} {of}", f"give {entry.min_length} or more", path)
    if entry.max_length is not None and length > entry.max_length:
        raise _Refused(f"has {length} {of}", f"give {entry.max_length} or fewer", path)


def _typed(kind: FieldType, value: Any, path: str) -> Any:
    """``value`` as ``kind`` where that loses nothing: '3' is a number, 3.0 an integer, 'yes' true."""
    if kind == "any":
        return value
    if kind == "string":
        if isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    elif kind == "boolean":
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    elif kind in ("integer", "number"):
        number = _number(value)
        if number is not None and (kind == "number" or float(number).is_integer()):
            return int(number) if kind == "integer" else number
    elif kind == "array":
        if isinstance(value, Sequence) and not isinstance(value, str):
            return list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    elif isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    raise _Refused(f"is {_short(value)}", f"give {_A[kind]}", path)


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
        except ValueError:
            return None
    if isinstance(value, int):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
