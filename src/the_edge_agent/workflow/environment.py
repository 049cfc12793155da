"""Jinja's environment as we use it: a parser, and what Jinja's filters ask for attributes. It never compiles a template."""

from __future__ import annotations

from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from the_edge_agent.workflow.sandbox import Method, Missing, attribute, item


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's environment as parser and as what its filters ask for attributes; it never compiles a template."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of an object; nothing that Python hangs on values."""
        return _attribute(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An entry, for Jinja's filters that take attribute=."""
        found = item(obj, argument)
        if isinstance(found, Missing) and isinstance(argument, str):
            return _attribute(obj, argument)
        return found

    def is_safe_callable(self, obj: Any) -> bool:
        """Nothing is called through Jinja."""
        del obj
        return False


def _attribute(value: Any, name: str) -> Any:
    found = attribute(value, name)
    return attribute(None, name) if isinstance(found, Method) else found


ENVIRONMENT = Sandbox(
    undefined=Missing, autoescape=False, keep_trailing_newline=True, cache_size=0, optimized=False
)
