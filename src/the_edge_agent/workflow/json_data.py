"""What a template may give back: JSON data, and the text it becomes inside other text.

Refuses what is no data, and counts the work. Knows nothing of filters or of the syntax tree.
"""

from __future__ import annotations

from typing import Any

from the_edge_agent.errors import TemplateError
from the_edge_agent.workflow.kinds import is_list, is_object, type_of
from the_edge_agent.workflow.limits import Budget, weigh
from the_edge_agent.workflow.sandbox import Method, Missing


def as_text(value: Any, budget: Budget) -> str:
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
