"""json.parse and json.transform. Knows nothing of files or models."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NoReturn

from the_edge_agent.engine.action import ActionContext
from the_edge_agent.errors import ActionError
from the_edge_agent.inference import JsonObject, JsonValue
from the_edge_agent.workflow.template import Expression


async def parse(params: JsonObject, _context: ActionContext) -> JsonValue:
    """The value of JSON text, or ``default``. Raises ActionError saying where the text stops being JSON."""
    text = str(params["text"])
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        failure, fix = "it nests too deep", "flatten it"
        cause: Exception = error
    except ValueError as error:
        failure, fix = str(error), "mend the text, or give a default"
        cause = error
    if "default" in params:
        return params["default"]
    raise ActionError(f"the text is no JSON: {failure}; it begins {text[:40]!r}", fix=fix) from cause


async def transform(params: JsonObject, context: ActionContext) -> JsonValue:
    """The value of an expression over ``data``, state and variables. Raises TemplateError."""
    return expression(str(params["expression"])).evaluate({**context.scope, "data": params["data"]})


@lru_cache(maxsize=256)
def expression(text: str) -> Expression:
    """Parsed once; loading has checked it already."""
    return Expression.parse(text)


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON"
    raise ValueError(msg)
