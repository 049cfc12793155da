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
from the_edge_agent.workflow.filter_bounds import BOUNDS
from the_edge_agent.workflow.json_data import as_json, as_text
from the_edge_agent.workflow.kinds import is_list, is_object, is_sized
from the_edge_agent.workflow.limits import Budget, check_text, weigh
from the_edge_agent.workflow.operators import add, contains, cost, fill_in
from the_edge_agent.workflow.sandbox import Attributes, Method, Missing, join_texts, replace

Filter = Callable[..., Any]

_EVAL_CONTEXT = EvalContext(ENVIRONMENT)


def apply(name: str, budget: Budget, value: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Filter ``value``. The name was checked when the template was parsed."""
    own = OWN_FILTERS.get(name)
    if own is not None:
        return own(budget, value, *args, **named)
    if name not in FILTER_NAMES:
        raise TemplateError(f"no filter is called {name!r}", fix="see docs/language.md for the filters")
    _charge(budget, value)
    bound = BOUNDS.get(name)
    if bound is not None:
        bound(value, *args, **named)
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


_JINJA_TESTS: Mapping[str, Callable[..., Any]] = JINJA_TESTS
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
    data = as_text(value, budget)
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
    return join_texts(budget, as_text(d, budget), [as_text(entry, budget) for entry in entries])


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
    return as_text(value, budget)


def _replace(budget: Budget, value: Any, old: Any, new: Any, count: int | None = None) -> str:
    return replace(
        budget,
        as_text(value, budget),
        as_text(old, budget),
        as_text(new, budget),
        -1 if count is None else count,
    )


def _format(budget: Budget, value: Any, *args: Any, **named: Any) -> str:
    if args and named:
        raise TemplateError("format takes values by position or by name, not both", fix="use one kind")
    return fill_in(budget, as_text(value, budget), dict(named) if named else args)


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
