"""Arithmetic of number ranges: what meets two of them, which are empty, which values a step leaves. Pure.

Knows nothing of grammars or of the rest of a schema.
"""

from __future__ import annotations

from decimal import Decimal

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.check import is_multiple, matches
from the_edge_agent.inference.json_schema.shapes import Number, SchemaDocument


def both_numbers(a: Number, b: Number) -> Number:
    """The range that meets both, possibly empty."""
    low, low_open = max(
        ((x.low, x.low_open) for x in (a, b) if x.low is not None),
        default=(None, False),
        key=lambda x: (x[0], x[1]),
    )
    high, high_open = min(
        ((x.high, x.high_open) for x in (a, b) if x.high is not None),
        default=(None, False),
        key=lambda x: (x[0], not x[1]),
    )
    step = a.step if b.step is None or a.step == b.step else b.step
    if a.step is not None and b.step is not None and a.step != b.step:
        small, large = sorted((a.step, b.step))
        if not is_multiple(large, small):
            raise SchemaUnsupported(
                f"multiples of both {a.step} and {b.step}", place="schema/", fix="give their common multiple"
            )
        step = large
    return Number(a.integer or b.integer, low, high, low_open, high_open, step)


def is_empty_number(number: Number) -> bool:
    """Whether the bounds leave no number (steps aside)."""
    if number.low is None or number.high is None:
        return False
    low, high = integer_bounds(number) if number.integer else (number.low, number.high)
    if low is None or high is None:
        return False
    return low > high or (low == high and not number.integer and (number.low_open or number.high_open))


def integer_bounds(number: Number) -> tuple[int | None, int | None]:
    """The smallest and the largest integer within the bounds."""
    low = high = None
    if number.low is not None:
        low = int(number.low.to_integral_value("ROUND_CEILING"))
        low += 1 if number.low_open and low == number.low else 0
    if number.high is not None:
        high = int(number.high.to_integral_value("ROUND_FLOOR"))
        high -= 1 if number.high_open and high == number.high else 0
    return low, high


def stepped_values(number: Number) -> list[Decimal]:
    """Every multiple of ``step`` within the bounds; refuses more than 256, or an endless range."""
    assert number.step is not None
    if number.low is None or number.high is None or (number.high - number.low) / number.step > 256:
        raise SchemaUnsupported(
            f"multiples of {number.step} without a range that holds at most 256 of them",
            place="schema/",
            fix="add minimum and maximum, or use 1, 0.1, 0.01, ...",
        )
    first = int((number.low / number.step).to_integral_value("ROUND_CEILING"))
    last = int((number.high / number.step).to_integral_value("ROUND_FLOOR"))
    values = [number.step * count for count in range(first, last + 1)]
    document = SchemaDocument(number, {})
    return [v for v in values if matches(document, int(v) if v == v.to_integral_value() else float(v))]


def decimal_step(number: Number) -> int | None:
    """How many decimals a step of 1, 0.1, 0.01, ... allows; None for another step."""
    if number.step is None:
        return None
    sign, digits, exponent = number.step.normalize().as_tuple()
    return -int(exponent) if (sign, digits) == (0, (1,)) and int(exponent) <= 0 else None
