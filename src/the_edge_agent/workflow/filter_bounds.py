"""How much the filters taken over from Jinja may be asked to make, checked before they begin.

Jinja bounds nothing: a width of a billion is a gigabyte of blanks. Knows nothing of the filters of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from the_edge_agent.errors import TemplateError, TemplateLimitExceeded
from the_edge_agent.workflow.limits import MAX_ENTRIES, check_text, weigh

#: Filters whose work grows faster than their text; they get short texts only.
_MAX_MARKUP = 64 * 1024


def _wide(_value: Any, width: Any = 80, *_rest: Any, **_named: Any) -> None:
    check_text(int(width))


def _indented(value: Any, width: Any = 4, *_rest: Any, **_named: Any) -> None:
    step = len(width) if isinstance(width, str) else int(width)
    check_text(step)
    check_text(len(value) + step * (str(value).count("\n") + 1))


def _in_batches(value: Any, size: Any, *_rest: Any, **_named: Any) -> None:
    if not isinstance(size, int) or not 1 <= size <= MAX_ENTRIES // 10:
        raise TemplateLimitExceeded(f"{size!r} parts is too much", fix="use a number from 1 to 100,000")
    if not isinstance(value, (str, list, tuple, dict, range)):
        raise TemplateError("batch and slice take a list", fix="give them a list")


def _rounded(value: Any, precision: Any = 0, *_rest: Any, **_named: Any) -> None:
    if not isinstance(precision, int) or abs(precision) > 100:
        raise TemplateLimitExceeded(f"a precision of {precision!r} is too much", fix="use one below 100")
    if isinstance(value, str):
        raise TemplateError("text can't be rounded", fix="turn it into a number first: | float | round")


def _short(value: Any, *args: Any, **named: Any) -> None:
    size = len(value) if isinstance(value, str) else 0
    weigh([value, *args, *named.values()])
    if size > _MAX_MARKUP or any(
        isinstance(more, str) and len(more) > 1000 for more in (*args, *named.values())
    ):
        raise TemplateLimitExceeded(
            f"this filter takes at most {_MAX_MARKUP:,} characters", fix="cut the text first"
        )


def _wrapped(
    value: Any, width: Any = 79, break_long: Any = True, wrapstring: Any = "\n", *_rest: Any, **_: Any
) -> None:
    del break_long
    check_text(len(value) * 16)
    if not isinstance(width, int) or width < 1:
        raise TemplateError(f"a width of {width!r} can't be used", fix="use a number from 1")
    check_text(len(value) + len(wrapstring or "") * (len(value) + 1))


def _cut(_value: Any, length: Any = 255, *_rest: Any, **_named: Any) -> None:
    check_text(abs(int(length)))


BOUNDS: Mapping[str, Callable[..., None]] = {
    "batch": _in_batches,
    "center": _wide,
    "indent": _indented,
    "pprint": _short,
    "round": _rounded,
    "slice": _in_batches,
    "striptags": _short,
    "truncate": _cut,
    "urlize": _short,
    "wordwrap": _wrapped,
    "xmlattr": _short,
}
