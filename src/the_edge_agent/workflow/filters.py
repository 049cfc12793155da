"""The filters and tests of templates: Jinja's own, counted and bounded, and json, fromjson, sha256.

Left out on purpose: ``attr`` (walks attributes), ``random`` (a run must repeat from its log). Filters return data, never
generators. This module knows nothing of the syntax tree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.nodes import EvalContext
from jinja2.tests import TESTS as JINJA_TESTS

from the_edge_agent.errors import TemplateError, TemplateLimitExceeded
from the_edge_agent.workflow.environment import ENVIRONMENT
from the_edge_agent.workflow.kinds import is_list, is_object, is_sized, type_of
from the_edge_agent.workflow.limits import MAX_ENTRIES, Budget, check_text, weigh
from the_edge_agent.workflow.operators import add, contains, cost, fill_in
from the_edge_agent.workflow.sandbox import Attributes, Method, Missing, join_texts, replace

Filter = Callable[..., Any]


_EVAL_CONTEXT = EvalContext(ENVIRONMENT)

#: Filters whose work grows faster than their text; they get short texts only.
_MAX_MARKUP = 64 * 1024


def text(value: Any, budget: Budget) -> str:
    """``value`` as it appears inside text. Raises TemplateError for what is no data."""
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, Missing):
        return str(value)  # raises, with the path
    return str(as_json(value, budget))


def as_json(value: Any, budget: Budget) -> Any:
    """``value`` as JSON data: itself where it is that already. Raises TemplateError, TemplateLimitExceeded."""
    kind = type_of(value)
    if kind is str or value is None or kind is bool or kind is int or kind is float:
        return value
    if isinstance(value, str):
        return str(value)
    if weigh(value, budget):
        return value
    return _as_json(value, budget)


def _as_json(value: Any, budget: Budget) -> Any:
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if is_object(value):
        result: dict[str, Any] = {}
        for key, entry in value.items():
            if not isinstance(key, str):
                raise TemplateError(f"the object has the key {key!r}", fix="use text as keys, in quotes")
            result[str(key)] = _as_json(entry, budget)
        return result
    if isinstance(value, range):
        return list(budget.counted(value))
    if is_list(value):
        return [_as_json(entry, budget) for entry in value]
    if isinstance(value, Missing):
        str(value)
    if isinstance(value, Method):
        raise TemplateError(f"{value.name!r} is a method, not a value", fix=f"call it: {value.name}()")
    raise TemplateError("the result isn't data", fix="return text, numbers, lists or objects")


def apply(name: str, budget: Budget, value: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Filter ``value``. The name was checked when the template was parsed."""
    own = OWN_FILTERS.get(name)
    if own is not None:
        return own(budget, value, *args, **named)
    if name not in FILTER_NAMES:
        raise TemplateError(f"no filter is called {name!r}", fix="see docs/language.md for the filters")
    _charge(budget, value)
    guard = _GUARDS.get(name)
    if guard is not None:
        guard(value, *args, **named)
    result: Any = ENVIRONMENT.call_filter(name, value, args, named, eval_ctx=_EVAL_CONTEXT)
    if isinstance(result, str):
        check_text(len(result))
        return str(result)
    if is_list(result) or is_object(result):
        weigh(result, budget)
        return result
    return list(budget.counted(cast("Iterator[Any]", result))) if isinstance(result, Iterator) else result


def test(name: str, budget: Budget, value: Any, args: Sequence[Any], named: Mapping[str, Any]) -> bool:
    """Whether ``value is name``. The name was checked when the template was parsed."""
    if name == "defined":
        return not (value is None or isinstance(value, Missing))
    if name == "undefined":
        return value is None or isinstance(value, Missing)
    if name == "in":
        return contains(budget, value, *args, **named)
    if name == "filter":
        return value in FILTER_NAMES
    if name == "test":
        return value in TEST_NAMES
    if name not in TEST_NAMES:
        raise TemplateError(f"no test is called {name!r}", fix="see docs/language.md for the tests")
    if name in _COMPARING and isinstance(value, (str, list, dict)):
        budget.take(1 + cost(value))
    return bool(_JINJA_TESTS[name](value, *args, **named))


def _charge(budget: Budget, value: Any) -> None:
    if isinstance(value, str):
        budget.take(1 + len(value) // 256)
    elif is_sized(value):
        budget.take(1 + len(value))
    elif isinstance(value, (Method, Attributes)):
        as_json(value, budget)


# --- bounds of Jinja's filters ------------------------------------------------------------------------------------


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


_JINJA_TESTS: Mapping[str, Callable[..., Any]] = JINJA_TESTS
_GUARDS: Mapping[str, Callable[..., None]] = {
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
_COMPARING = frozenset({"eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<=", "gt", ">", "ge", ">=",
                        "greaterthan", "sameas", "lower", "upper"})  # fmt: skip


# --- own filters --------------------------------------------------------------------------------------------------


def _default(_budget: Budget, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    if value is None or isinstance(value, Missing) or (boolean and not value):
        return default_value
    return value


def _json(budget: Budget, value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= 16:
        raise TemplateLimitExceeded(f"an indent of {indent} is too much", fix="use one from 0 to 16")
    plain = as_json(value, budget)
    try:
        result = json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError as error:
        raise TemplateError("JSON has no NaN and no infinity", fix="check the number first") from error
    check_text(len(result))
    budget.take(len(result) // 256)
    return result


def _fromjson(budget: Budget, value: Any) -> Any:
    if not isinstance(value, str):
        raise TemplateError("fromjson takes text", fix="leave the filter out: this is data already")
    check_text(len(value))
    budget.take(1 + len(value) // 64)
    try:
        result = json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TemplateError(f"the text isn't JSON: {error}", fix="check what made it") from error
    weigh(result, budget)
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _sha256(budget: Budget, value: Any) -> str:
    data = text(value, budget)
    budget.take(1 + len(data) // 256)
    return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()


def _listing(budget: Budget, value: Any) -> list[Any]:
    if isinstance(value, Missing):
        str(value)
    if value is None or isinstance(value, (bool, int, float)):
        raise TemplateError("this is no list", fix="give a list, or use | default([])")
    return list(budget.counted(value))


def _join(budget: Budget, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    entries = _listing(budget, value)
    if attribute is not None:
        entries = [_reach(entry, attribute) for entry in entries]
    return join_texts(budget, text(d, budget), [text(entry, budget) for entry in entries])


def _reach(value: Any, path: str | int) -> Any:
    for part in path.split(".") if isinstance(path, str) else (path,):
        value = ENVIRONMENT.getitem(value, int(part) if isinstance(part, str) and part.isdigit() else part)
    return value


def _sum(budget: Budget, value: Any, attribute: str | int | None = None, start: Any = 0) -> Any:
    total = start
    for entry in _listing(budget, value):
        total = add(budget, total, entry if attribute is None else _reach(entry, attribute))
    return total


def _map(budget: Budget, value: Any, *args: Any, **named: Any) -> list[Any]:
    entries = _listing(budget, value)
    if not args and "attribute" in named:
        path = named.pop("attribute")
        default = named.pop("default", None)
        if named:
            raise TemplateError(f"map has no {next(iter(named))!r}", fix="use attribute and default")
        found = [_reach(entry, path) for entry in entries]
        if default is not None:
            return [default if isinstance(entry, Missing) else entry for entry in found]
        for entry in found:
            if isinstance(entry, Missing):
                str(entry)
        return found
    if not args:
        raise TemplateError(
            "map needs a filter's name or attribute=", fix="write map('upper') or map(attribute='name')"
        )
    return [apply(args[0], budget, entry, args[1:], named) for entry in entries]


def _choosing(keep: bool, by_attribute: bool) -> Filter:
    def choose(budget: Budget, value: Any, *args: Any, **named: Any) -> list[Any]:
        entries = _listing(budget, value)
        if by_attribute:
            if not args:
                raise TemplateError(
                    "this filter needs an attribute", fix="write selectattr('name', 'eq', 'x')"
                )
            path, *args = args  # type: ignore[assignment]
            pairs = [(entry, _reach(entry, path)) for entry in entries]
        else:
            pairs = [(entry, entry) for entry in entries]
        if not args:
            return [entry for entry, found in pairs if _truth(found) is keep]
        name, *rest = args
        return [entry for entry, found in pairs if test(name, budget, found, rest, named) is keep]

    return choose


def _truth(value: Any) -> bool:
    return not isinstance(value, Missing) and bool(value)


def _list(budget: Budget, value: Any) -> list[Any]:
    return _listing(budget, value)


def _string(budget: Budget, value: Any) -> str:
    return text(value, budget)


def _replace(budget: Budget, value: Any, old: Any, new: Any, count: int | None = None) -> str:
    return replace(
        budget, text(value, budget), text(old, budget), text(new, budget), -1 if count is None else count
    )


def _format(budget: Budget, value: Any, *args: Any, **named: Any) -> str:
    if args and named:
        raise TemplateError("format takes values by position or by name, not both", fix="use one kind")
    return fill_in(budget, text(value, budget), dict(named) if named else args)


def _length(_budget: Budget, value: Any) -> int:
    if value is None or isinstance(value, (bool, int, float)):
        raise TemplateError(
            "this has no length", fix="give a list, an object or a text, or use | default([])"
        )
    return len(value)


def _reverse(budget: Budget, value: Any) -> Any:
    if isinstance(value, str):
        budget.take(1 + len(value) // 256)
        return str(value)[::-1]
    return _listing(budget, value)[::-1]


OWN_FILTERS: Mapping[str, Filter] = {
    "count": _length,
    "d": _default,
    "default": _default,
    "format": _format,
    "fromjson": _fromjson,
    "join": _join,
    "json": _json,
    "length": _length,
    "list": _list,
    "map": _map,
    "reject": _choosing(keep=False, by_attribute=False),
    "rejectattr": _choosing(keep=False, by_attribute=True),
    "replace": _replace,
    "reverse": _reverse,
    "select": _choosing(keep=True, by_attribute=False),
    "selectattr": _choosing(keep=True, by_attribute=True),
    "sha256": _sha256,
    "string": _string,
    "sum": _sum,
    "tojson": _json,
}
_LEFT_OUT = frozenset({"attr", "random"})
FILTER_NAMES = frozenset(JINJA_FILTERS) - _LEFT_OUT | frozenset(OWN_FILTERS)
TEST_NAMES = frozenset(JINJA_TESTS)
