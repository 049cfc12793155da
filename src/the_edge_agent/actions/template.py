"""template.render: one template, rendered once, to text that is never rendered again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from the_edge_agent.engine.action import ActionContext
from the_edge_agent.inference import JsonObject, JsonValue
from the_edge_agent.workflow.template import Template


async def render(params: JsonObject, context: ActionContext) -> JsonValue:
    """The text. ``values`` come below the run's own names: nobody can pass off his ``state``. Raises TemplateError."""
    values: Any = params.get("values") or {}
    assert isinstance(values, Mapping)
    return template(str(params["template"])).render_text({**values, **context.scope})


@lru_cache(maxsize=256)
def template(text: str) -> Template:
    """Parsed once; loading has checked it already."""
    return Template.parse(text)
