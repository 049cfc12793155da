"""Checks an action's rendered parameters against its signature. Pure; knows no action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.workflow.signatures import Param, Signature

_IS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list | tuple),
    "object": lambda value: isinstance(value, Mapping),
    "any": lambda _value: True,
}


def checked_params(signature: Signature, params: Mapping[str, Any]) -> dict[str, Any]:
    """``params`` as the action gets them. Raises ActionParamsInvalid naming the parameter.

    A parameter that takes no null and is null counts as not given: ``system: "{{ state.system }}"`` is then optional
    where the state has no such key. A whole float passes as an integer, since expressions make floats.
    """
    known = {param.name: param for param in signature.params}
    result: dict[str, Any] = {}
    for name, value in params.items():
        param = known.get(name)
        if param is None:
            raise ActionParamsInvalid(
                f"{signature.name} has no parameter {name!r}", fix=f"it takes {', '.join(sorted(known))}"
            )
        if value is None and param.types and "any" not in param.types:
            continue
        result[name] = _checked(signature.name, param, value)
    for param in signature.params:
        if param.required and param.name not in result:
            raise ActionParamsInvalid(f"{signature.name} needs {param.name!r}", fix=f"give it: {param.help}")
    wanted = signature.at_least_one_of
    if wanted and not any(name in result for name in wanted):
        raise ActionParamsInvalid(f"{signature.name} needs {' or '.join(wanted)}", fix="give one of them")
    return result


def _checked(action: str, param: Param, value: Any) -> Any:
    if param.types and not any(_IS[kind](value) for kind in param.types):
        if isinstance(value, float) and value.is_integer() and "integer" in param.types:
            return _checked(action, param, int(value))
        raise ActionParamsInvalid(
            f"{action}: {param.name} is {_shown(value)}, and takes {' or '.join(param.types)}",
            fix="change the value or the template that makes it",
        )
    if param.choices and value not in param.choices:
        raise ActionParamsInvalid(
            f"{action}: {param.name} is {_shown(value)}", fix=f"choose one of {', '.join(param.choices)}"
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = param.minimum, param.maximum
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            bounds = (
                f"from {low:g}"
                if high is None
                else f"from {low:g} to {high:g}"
                if low is not None
                else f"up to {high:g}"
            )
            raise ActionParamsInvalid(f"{action}: {param.name} is {value}", fix=f"give a number {bounds}")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
