"""Checks a value against a parsed schema in pure Python; bounded for any schema and any value.

Knows nothing of keywords (``parse`` reads them) and nothing of text: a caller parses JSON first.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from the_edge_agent.errors import Problem
from the_edge_agent.inference.json_schema.shapes import (
    Anything,
    Array,
    Boolean,
    Literals,
    Nothing,
    Null,
    Number,
    Object,
    Reference,
    SchemaDocument,
    Shape,
    Text,
    Union,
    is_number,
    json_equal,
)
from the_edge_agent.inference.json_value import is_array, is_object

MAX_PROBLEMS = 20
MAX_VALUE_DEPTH = 200
MAX_CHECKS = 300_000


def matches(document: SchemaDocument, value: Any) -> bool:
    """Whether the value meets the schema."""
    return not find_problems(document, value)


def find_problems(document: SchemaDocument, value: Any) -> tuple[Problem, ...]:
    """What is wrong with the value, at most MAX_PROBLEMS, each at its JSON pointer; empty when it is valid."""
    return tuple(_Check(document).of(document.root, value, "", 0)[:MAX_PROBLEMS])


class _Check:
    def __init__(self, document: SchemaDocument) -> None:
        self.definitions = document.definitions
        self.steps = 0

    def of(self, shape: Shape, value: Any, place: str, depth: int) -> list[Problem]:
        self.steps += 1
        if self.steps > MAX_CHECKS:  # alternatives inside alternatives can double the work at each level
            return [_problem(place, "takes too long to check", "use fewer alternatives")]
        if depth > MAX_VALUE_DEPTH:
            return [_problem(place, f"is nested deeper than {MAX_VALUE_DEPTH}", "flatten it")]
        match shape:
            case Anything():
                return self.json(value, place, depth)
            case Nothing():
                return [_problem(place, "may not be here", "leave it out")]
            case Null():
                return [] if value is None else [_kind(place, value, "null")]
            case Boolean():
                return [] if isinstance(value, bool) else [_kind(place, value, "true or false")]
            case Number():
                return _number(shape, value, place)
            case Text():
                return _text(shape, value, place)
            case Literals():
                return _literal(shape, value, place)
            case Array():
                return self.array(shape, value, place, depth)
            case Object():
                return self.object(shape, value, place, depth)
            case Union():
                return self.union(shape, value, place, depth)
            case Reference():
                return self.of(self.definitions.get(shape.key, Nothing()), value, place, depth + 1)
            case _:
                return [problem for part in shape.parts for problem in self.of(part, value, place, depth + 1)]

    def array(self, shape: Array, value: Any, place: str, depth: int) -> list[Problem]:
        if not is_array(value):
            return [_kind(place, value, "a list")]
        problems: list[Problem] = []
        if len(value) < shape.min_items:
            problems.append(
                _problem(place, f"has {len(value)} items", f"at least {shape.min_items} are needed")
            )
        if shape.max_items is not None and len(value) > shape.max_items:
            problems.append(
                _problem(place, f"has {len(value)} items", f"at most {shape.max_items} are allowed")
            )
        for index, item in enumerate(value):
            wanted = shape.prefix[index] if index < len(shape.prefix) else shape.items
            problems.extend(self.of(wanted, item, f"{place}/{index}", depth + 1))
            if len(problems) >= MAX_PROBLEMS:
                break
        return problems

    def object(self, shape: Object, value: Any, place: str, depth: int) -> list[Problem]:
        if not is_object(value):
            return [_kind(place, value, "an object")]
        members = {entry.name: entry.shape for entry in shape.properties}
        problems = [
            _problem(f"{place}/{_token(entry.name)}", "is missing", "it is required")
            for entry in shape.properties
            if entry.required and entry.name not in value
        ]
        if len(value) < shape.min_properties:
            problems.append(
                _problem(place, f"has {len(value)} members", f"at least {shape.min_properties} are needed")
            )
        if shape.max_properties is not None and len(value) > shape.max_properties:
            problems.append(
                _problem(place, f"has {len(value)} members", f"at most {shape.max_properties} are allowed")
            )
        for name, member in value.items():
            if not isinstance(name, str):
                problems.append(_problem(place, f"the key {name!r} is no text"))
                continue
            problems.extend(
                self.of(members.get(name, shape.additional), member, f"{place}/{_token(name)}", depth + 1)
            )
            if len(problems) >= MAX_PROBLEMS:
                break
        return problems

    def union(self, shape: Union, value: Any, place: str, depth: int) -> list[Problem]:
        found: list[list[Problem]] = []
        matched = 0
        for option in shape.options:
            problems = self.of(option, value, place, depth + 1)
            if problems:
                found.append(problems)
            else:
                matched += 1
                if not shape.exclusive:
                    return []
        if matched == 1:
            return []
        if matched:
            return [_problem(place, f"meets {matched} alternatives of oneOf", "it must meet exactly one")]
        # The alternative that was meant has the right kind, and the fewest problems inside.
        nearest = min(
            found, key=lambda problems: (any(p.place == (place or "/") for p in problems), len(problems))
        )
        if len(found) > 1 and len(nearest) == 1 and nearest[0].place == (place or "/"):
            return [_problem(place, f"meets none of {len(found)} alternatives", nearest[0].fix)]
        return nearest

    def json(self, value: Any, place: str, depth: int) -> list[Problem]:
        """That it is JSON at all."""
        if is_object(value):
            return self.object(Object(), value, place, depth)
        if is_array(value):
            return self.array(Array(), value, place, depth)
        if value is None or isinstance(value, (bool, str)):
            return []
        return _number(Number(), value, place)


def _number(shape: Number, value: Any, place: str) -> list[Problem]:
    wanted = "a whole number" if shape.integer else "a number"
    if not is_number(value) or not math.isfinite(value) or (shape.integer and value != int(value)):
        return [_kind(place, value, wanted)]
    exact = Decimal(repr(value))
    problems: list[Problem] = []
    if shape.low is not None and (exact < shape.low or (shape.low_open and exact == shape.low)):
        problems.append(
            _problem(
                place, f"is {value}", f"{'more than' if shape.low_open else 'at least'} {shape.low} is needed"
            )
        )
    if shape.high is not None and (exact > shape.high or (shape.high_open and exact == shape.high)):
        problems.append(
            _problem(
                place,
                f"is {value}",
                f"{'less than' if shape.high_open else 'at most'} {shape.high} is allowed",
            )
        )
    if shape.step is not None and not is_multiple(exact, shape.step):
        problems.append(_problem(place, f"is {value}", f"a multiple of {shape.step} is needed"))
    return problems


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Exact at any size: Decimal's own remainder gives up at 28 digits."""
    exponent = min(int(value.as_tuple().exponent), int(step.as_tuple().exponent))
    return int(value.scaleb(-exponent)) % int(step.scaleb(-exponent)) == 0


def _text(shape: Text, value: Any, place: str) -> list[Problem]:
    if not isinstance(value, str):
        return [_kind(place, value, "text")]
    problems: list[Problem] = []
    if len(value) < shape.min_length:
        problems.append(
            _problem(place, f"has {len(value)} characters", f"at least {shape.min_length} are needed")
        )
    if shape.max_length is not None and len(value) > shape.max_length:
        problems.append(
            _problem(place, f"has {len(value)} characters", f"at most {shape.max_length} are allowed")
        )
    problems.extend(
        _problem(place, f"{value[:40]!r} doesn't match", f"the pattern is {pattern.source}"[:200])
        for pattern in shape.patterns
        if not pattern.matches(value)
    )
    return problems


def _literal(shape: Literals, value: Any, place: str) -> list[Problem]:
    if any(json_equal(value, allowed) for allowed in shape.values):
        return []
    names = ", ".join(repr(allowed) for allowed in shape.values[:10])
    return [
        _problem(place, f"is {value!r}"[:60], f"allowed: {names}{', ...' if len(shape.values) > 10 else ''}")
    ]


def _kind(place: str, value: Any, wanted: str) -> Problem:
    return _problem(place, f"is {value!r}"[:60], f"{wanted} is needed")


def _problem(place: str, what: str, fix: str = "") -> Problem:
    return Problem(what, place or "/", fix)


def _token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
