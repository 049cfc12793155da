"""Ranges of numbers as sequences of digit classes: 7 to 123 is ``[7-9] | [1-9][0-9] | 1[01][0-9] | 12[0-3]``.

A decimal with at most F decimals is treated as an integer of its units in the last place, so bounds are exact and an
exclusive bound is one unit further. Writes numbers as JSON does: no leading zeros, no exponent, no ``-0``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TypeAlias

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.bounds import decimal_step, integer_bounds, stepped_values
from the_edge_agent.inference.json_schema.shapes import Number

#: One class a digit: (smallest, largest).
Digits: TypeAlias = list[tuple[int, int]]

INTEGER_DIGITS = 15
"""Digits before the point where no bound says more; 15 decimal digits survive a double."""
DECIMALS = 6
"""Digits behind the point where neither bounds nor step say more."""


def number_body(number: Number, place: str) -> str:
    """The right side of a GBNF rule that derives exactly the numbers in range.

    Numbers without bounds may have an exponent; numbers with bounds have up to DECIMALS decimals.

    Raises:
        SchemaUnsupported: bounds with more than 15 significant digits on a number that isn't an integer.
    """
    decimals = decimal_step(number)
    if number.step is not None and decimals is None:
        return " | ".join(f'"{value.normalize():f}"' for value in stepped_values(number))
    if number.integer:
        low, high = integer_bounds(number)
        return _range_body(low, high, 0)
    if number.low is None and number.high is None and decimals is None:
        exponent = "([eE] [-+]? [0-9] [0-9]?)?"
        return f'"-"? ("0" | [1-9] [0-9]{{0,{INTEGER_DIGITS - 1}}}) ("." [0-9]{{1,{INTEGER_DIGITS}}})? {exponent}'
    return _decimal_body(number, decimals, place)


def _decimal_body(number: Number, decimals: int | None, place: str) -> str:
    bounds = [bound for bound in (number.low, number.high) if bound is not None]
    needed = max((max(0, -int(bound.normalize().as_tuple().exponent)) for bound in bounds), default=0)
    whole = max((bound.adjusted() + 1 for bound in bounds if bound), default=1)
    if max(whole, 1) + needed > INTEGER_DIGITS:
        raise SchemaUnsupported(
            "bounds with more than 15 digits are exact for integers only",
            place=place,
            fix="use type integer, or rounder bounds",
        )
    if decimals is None:
        decimals = min(max(DECIMALS, needed), INTEGER_DIGITS - max(whole, 1))
    unit = Decimal(1).scaleb(-decimals)
    scaled = Number(
        integer=True,
        low=None if number.low is None else number.low / unit,
        high=None if number.high is None else number.high / unit,
        low_open=number.low_open,
        high_open=number.high_open,
    )
    low, high = integer_bounds(scaled)
    return _range_body(low, high, decimals)


def _range_body(low: int | None, high: int | None, decimals: int) -> str:
    """Alternatives for low..high in units of the last decimal."""
    widest = max(INTEGER_DIGITS, *(len(str(abs(bound))) + 1 for bound in (low, high) if bound is not None), 0)
    cap = 10**widest - 1
    bottom, top = -cap if low is None else low, cap if high is None else high
    options = [f'"-" {_text(digits, decimals)}' for digits in _wide(max(1, -top), -bottom, decimals)]
    options += [_text(digits, decimals) for digits in _wide(max(0, bottom), top, decimals)]
    # An empty range can stand only where the whole shape is impossible, which is refused before.
    return " | ".join(options) or '"0"'


def _wide(low: int, high: int, decimals: int) -> Iterator[Digits]:
    """Digit sequences for 0 <= low..high, by width; at least ``decimals`` + 1 digits, no other leading zeros."""
    for width in range(decimals + 1, max(decimals + 1, len(str(high))) + 1):
        first = 0 if width == decimals + 1 else 10 ** (width - 1)
        start, end = max(low, first), min(high, 10**width - 1)
        if start <= end:
            yield from _same_width(
                [int(c) for c in str(start).zfill(width)], [int(c) for c in str(end).zfill(width)]
            )


def _same_width(low: list[int], high: list[int]) -> Iterator[Digits]:
    if not low:
        yield []
        return
    if all(d == 0 for d in low) and all(d == 9 for d in high):
        yield [(0, 9)] * len(low)
        return
    first, last = low[0], high[0]
    if first == last:
        for rest in _same_width(low[1:], high[1:]):
            yield [(first, first), *rest]
        return
    zeros, nines = [0] * (len(low) - 1), [9] * (len(low) - 1)
    if low[1:] != zeros:
        for rest in _same_width(low[1:], nines):
            yield [(first, first), *rest]
        first += 1
    closing = high[1:] != nines
    if first <= last - closing:
        for rest in _same_width(zeros, nines):
            yield [(first, last - closing), *rest]
    if closing:
        for rest in _same_width(zeros, high[1:]):
            yield [(last, last), *rest]


def _text(digits: Digits, decimals: int) -> str:
    """Digit classes with a point before the last ``decimals``; zeros at the end may be left out."""
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    text = _classes(whole)
    if not fraction:
        return text
    tail = ""
    for index in range(len(fraction) - 1, -1, -1):
        piece = _classes(fraction[index : index + 1]) + (f" {tail}" if tail else "")
        piece = f'"." {piece}' if index == 0 else piece
        tail = f"({piece})?" if all(low == 0 for low, _ in fraction[index:]) else piece
    return f"{text} {tail}"


def _classes(digits: Digits) -> str:
    pieces: list[str] = []
    index = 0
    while index < len(digits):
        low, high = digits[index]
        run = 1
        while index + run < len(digits) and digits[index + run] == (low, high):
            run += 1
        one = f'"{low}"' if low == high else f"[{low}-{high}]"
        pieces.append(one if run == 1 else f"{one}{{{run}}}")
        index += run
    return " ".join(pieces)
