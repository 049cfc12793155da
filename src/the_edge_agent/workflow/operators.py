"""The operators of expressions: what Python does, bounded, and only between kinds that mean something together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NoReturn, cast

from the_edge_agent.errors import TemplateError, TemplateLimitExceeded
from the_edge_agent.workflow.kinds import is_list, is_object, is_sized, kind_of
from the_edge_agent.workflow.limits import MAX_BITS, Budget, check_entries, check_text, weigh
from the_edge_agent.workflow.sandbox import Missing

_BIG = 1 << MAX_BITS
_FORMAT = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?")


def _bounded(number: Any) -> Any:
    if isinstance(number, int) and not -_BIG < number < _BIG:
        raise _number_too_big()
    if isinstance(number, complex):
        raise TemplateError("the result isn't a real number", fix="take the root of positive numbers only")
    return number


def _number_too_big() -> TemplateLimitExceeded:
    return TemplateLimitExceeded(
        f"a number grows beyond {MAX_BITS} bits", fix="calculate with smaller numbers"
    )


def _refuse(left: Any, sign: str, right: Any) -> NoReturn:
    for value in (left, right):
        if isinstance(value, Missing):
            str(value)  # raises, with the path
    raise TemplateError(
        f"{kind_of(left)} {sign} {kind_of(right)} has no meaning", fix="compute with like kinds"
    )


def add(budget: Budget, left: Any, right: Any) -> Any:
    """``left + right``: numbers, texts or lists."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return _bounded(left + right)
    if isinstance(left, str) and isinstance(right, str):
        check_text(len(left) + len(right))
        budget.take(1 + (len(left) + len(right)) // 256)
        return left + right
    if is_list(left) and is_list(right):
        check_entries(len(left) + len(right))
        budget.take(1 + (len(left) + len(right)) // 64)
        result = [*left, *right]
        if any(type(entry) in _CONTAINERS for entry in right):
            weigh(result)
        return result
    return _refuse(left, "+", right)


_CONTAINERS = frozenset({list, dict, tuple})


def subtract(_budget: Budget, left: Any, right: Any) -> Any:
    """``left - right`` of numbers."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return _bounded(left - right)
    return _refuse(left, "-", right)


def multiply(budget: Budget, left: Any, right: Any) -> Any:
    """``left * right``: numbers, or a text or list so many times."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        if (
            isinstance(left, int)
            and isinstance(right, int)
            and left.bit_length() + right.bit_length() > MAX_BITS
        ):
            raise _number_too_big()
        return left * right
    if isinstance(left, int):
        left, right = right, left
    if isinstance(right, int):
        times = max(0, right)
        if isinstance(left, str):
            check_text(len(left) * times)
            budget.take(1 + len(left) * times // 256)
            return left * times
        if is_list(left):
            check_entries(len(left) * times)
            budget.take(1 + len(left) * times // 64)
            result = list(left) * times
            weigh(result)
            return result
    return _refuse(left, "*", right)


def power(_budget: Budget, left: Any, right: Any) -> Any:
    """``left ** right`` of numbers."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_BITS:
            raise _number_too_big()
        return _bounded(left**right)
    return _refuse(left, "**", right)


def divide(_budget: Budget, left: Any, right: Any) -> Any:
    """``left / right`` of numbers."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left / right
    return _refuse(left, "/", right)


def floor_divide(_budget: Budget, left: Any, right: Any) -> Any:
    """``left // right`` of numbers."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left // right
    return _refuse(left, "//", right)


def modulo(budget: Budget, left: Any, right: Any) -> Any:
    """``left % right`` of numbers, or a text with ``%s`` in it filled in."""
    if isinstance(left, str):
        return fill_in(budget, left, right)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left % right
    return _refuse(left, "%", right)


def fill_in(budget: Budget, text: str, values: Any) -> str:
    """``text % values`` where no width can make it long."""
    weigh(values, budget)
    widths = 0
    count = 0
    for match in _FORMAT.finditer(text):
        count += 1
        for width in match.groups():
            if width == "*":
                raise TemplateError("a width of * can't be used", fix="write the width as a number")
            if width and len(width) > 4:
                raise TemplateLimitExceeded("a format width is too large", fix="use a width below 10,000")
            widths += int(width or 0)
    named = is_object(values)
    entries: Iterable[Any] = values.values() if is_object(values) else (values,)
    if isinstance(values, tuple):
        entries = cast("tuple[Any, ...]", values)
    lengths = [_printed(entry) for entry in entries]
    largest = max(lengths, default=0)
    total = largest * count if named else sum(lengths)
    check_text(len(text) + widths + total)
    budget.take(1 + (len(text) + widths + total) // 256)
    return str(text) % values


def _printed(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(str(value))


def cost(value: Any) -> int:
    """Turns for looking at all of ``value`` once in C."""
    if isinstance(value, str):
        return len(value) // 256
    return len(value) // 16 if is_list(value) or is_object(value) else 0


def contains(budget: Budget, left: Any, right: Any) -> bool:
    """``left in right``."""
    if isinstance(right, str):
        budget.take(1 + len(right) // 256)
        if not isinstance(left, str):
            _refuse(left, "in", right)
        return left in right
    if is_object(right):
        return left in right
    if is_sized(right):
        budget.take(1 + len(right) // 16 + cost(left))
        return left in right
    return _refuse(left, "in", right)


def _ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Budget, Any, Any], bool]:
    def evaluate(budget: Budget, left: Any, right: Any) -> bool:
        if isinstance(left, (str, list, dict, tuple)):
            budget.take(1 + cost(left))
        return compare(left, right)

    return evaluate


#: By Jinja's names.
COMPARISONS: Mapping[str, Callable[[Budget, Any, Any], bool]] = {
    "eq": _ordering(eq),
    "ne": _ordering(ne),
    "lt": _ordering(lt),
    "lteq": _ordering(le),
    "gt": _ordering(gt),
    "gteq": _ordering(ge),
    "in": contains,
    "notin": lambda budget, left, right: not contains(budget, left, right),
}
