"""What ``set``, ``for`` and ``with`` assign to: a name, a name of a namespace, or several at once.

Knows nothing of where the values come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from the_edge_agent.errors import TemplateError
from the_edge_agent.workflow.frame import Frame, Namespace

#: Takes a value into a frame.
Assign = Callable[[Frame, Any], None]


def compile_target(node: nodes.Node) -> Assign:
    """A closure that assigns to ``node``. Raises TemplateError for what can't be assigned to."""
    if isinstance(node, nodes.Name):
        name = node.name

        def assign_name(frame: Frame, value: Any) -> None:
            frame.names[name] = value

        return assign_name
    if isinstance(node, nodes.NSRef):
        owner, key = node.name, node.attr

        def assign_attribute(frame: Frame, value: Any) -> None:
            namespace = frame.resolve(owner)
            if not isinstance(namespace, Namespace):
                raise TemplateError(
                    f"{owner} can't be changed", fix="make one with namespace() and set its names"
                )
            namespace.values[key] = value

        return assign_attribute
    if isinstance(node, nodes.Tuple):
        targets = [compile_target(entry) for entry in node.items]

        def assign_each(frame: Frame, value: Any) -> None:
            values = list(frame.budget.counted(value))
            if len(values) != len(targets):
                raise TemplateError(
                    f"{len(values)} values for {len(targets)} names", fix="name as many as there are values"
                )
            for target, entry in zip(targets, values, strict=True):
                target(frame, entry)

        return assign_each
    raise TemplateError(f"{type(node).__name__} can't be set", fix="set a name")
