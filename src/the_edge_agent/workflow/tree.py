"""Trees: JSON values of an agent file whose texts are templates, rendered over a scope as one value.

What holds no template is a ``Constant`` and is given out as it is. This module knows nothing of YAML, of nodes or of how
a template is compiled (see ``template``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from the_edge_agent.workflow.kinds import is_list, is_object
from the_edge_agent.workflow.limits import weigh
from the_edge_agent.workflow.nodes import Place
from the_edge_agent.workflow.template import Scope, Template, has_marks
from the_edge_agent.workflow.template_source import NOWHERE


class Constant:
    """A value without templates, given out as it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def render(self, _scope: Scope) -> Any:
        """The value."""
        return self.value

    def __repr__(self) -> str:
        return f"Constant({self.value!r})"


class ObjectTree:
    """An object with templates inside."""

    __slots__ = ("entries",)

    def __init__(self, entries: Mapping[str, Tree]) -> None:
        self.entries = entries

    def render(self, scope: Scope) -> dict[str, Any]:
        """A new object."""
        return {key: entry.render(scope) for key, entry in self.entries.items()}

    def __repr__(self) -> str:
        return f"ObjectTree({self.entries!r})"


class ListTree:
    """A list with templates inside."""

    __slots__ = ("entries",)

    def __init__(self, entries: Sequence[Tree]) -> None:
        self.entries = entries

    def render(self, scope: Scope) -> list[Any]:
        """A new list."""
        return [entry.render(scope) for entry in self.entries]

    def __repr__(self) -> str:
        return f"ListTree({self.entries!r})"


Tree: TypeAlias = Constant | Template | ObjectTree | ListTree


def render_tree(tree: Tree, scope: Scope) -> Any:
    """The value of ``tree`` over ``scope``. Raises TemplateError, TemplateLimitExceeded.

    What a list or an object puts together is weighed as a whole: ``[state.x, state.x]`` in a loop doubles each turn.
    """
    value = tree.render(scope)
    if type(tree) is ObjectTree or type(tree) is ListTree:
        weigh(value)
    return value


def parse_tree(value: Any, place: Place = NOWHERE, *, names: Collection[str] | None = None) -> Tree:
    """A JSON value as a tree, every text in it a template at ``place``. Raises TemplateError."""
    if isinstance(value, str):
        return Template.parse(value, place, names=names) if has_marks(value) else Constant(value)
    if is_object(value):
        entries = {str(key): parse_tree(entry, place, names=names) for key, entry in value.items()}
        return object_tree(entries)
    if is_list(value):
        return list_tree([parse_tree(entry, place, names=names) for entry in value])
    return Constant(value)


def object_tree(entries: Mapping[str, Tree]) -> Tree:
    """An object of trees; a Constant where nothing in it is a template."""
    if all(type(entry) is Constant for entry in entries.values()):
        return Constant({key: entry.render({}) for key, entry in entries.items()})
    return ObjectTree(entries)


def list_tree(entries: Sequence[Tree]) -> Tree:
    """A list of trees; a Constant where nothing in it is a template."""
    if all(type(entry) is Constant for entry in entries):
        return Constant([entry.render({}) for entry in entries])
    return ListTree(entries)
