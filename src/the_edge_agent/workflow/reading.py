"""Reads the objects of a file by the tables of ``language``: known keys, kinds, bounds; every problem noted, none raised.

What comes out is a ``Record``: the simple values converted (see ``simple_values``), templates, expressions and inner
tables left for ``build``. This module knows the tables' shape and no single key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from the_edge_agent.errors import TemplateError
from the_edge_agent.workflow.document import Array, Object, Scalar, Value
from the_edge_agent.workflow.language import KEYS, TABLES, Key, Table
from the_edge_agent.workflow.near import did_you_mean
from the_edge_agent.workflow.nodes import Place
from the_edge_agent.workflow.refusals import Refusals
from the_edge_agent.workflow.simple_values import SIMPLE, UNREADABLE
from the_edge_agent.workflow.template import Expression, Template, has_marks
from the_edge_agent.workflow.template_source import code_size
from the_edge_agent.workflow.tree import Constant, Tree, list_tree, object_tree

#: Characters of all templates and expressions of a file, the text around them not counted.
MAX_CODE = 1024 * 1024


@dataclass(slots=True)
class Record:
    """An object that was read by a table. ``values`` holds what could be read, ``at`` where each key's value stands."""

    table: Table
    value: Object
    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a key, or ``default`` where it isn't there or couldn't be read."""
        return self.values.get(name, default)

    def has(self, name: str) -> bool:
        """Whether the file has the key, readable or not."""
        return name in self.value.entries

    def at(self, name: str) -> Value:
        """What stands under ``name``, for its place."""
        return self.value.entries[name]

    def key(self, name: str) -> Scalar:
        """The key itself, for its place."""
        return self.value.keys[name]


class Reader:
    """Reads values of one file and notes what is wrong with them."""

    def __init__(self, refusals: Refusals) -> None:
        self.refusals = refusals
        #: Characters of template code that the file may still have.
        self.code_left = MAX_CODE

    # --- tables ---------------------------------------------------------------------------------------------------

    def record(self, value: Value, table_name: str, what: str = "") -> Record | None:
        """``value`` read by a table; None where it is no object."""
        table = TABLES[table_name]
        if isinstance(value, Scalar) and table.shorthand and isinstance(value.value, str):
            key = Scalar(table.shorthand, table.shorthand, value.line, value.column)
            value = Object({table.shorthand: value}, {table.shorthand: key}, value.line, value.column)
        if not isinstance(value, Object):
            self.refusals.wrong(value, what or table.title, "an object")
            return None
        record = Record(table, value)
        known = KEYS[table.name]
        for name, entry in value.entries.items():
            key = known.get(name)
            if key is None:
                allowed = ", ".join(known)
                near = did_you_mean(name, known)
                hint = f"{near} " if near.startswith("did") else ""
                self.refusals.add(value.keys[name], f"unknown key {name!r}", f"{hint}allowed here: {allowed}")
                continue
            read = self.key_value(key, entry)
            if read is not UNREADABLE:
                record.values[name] = read
        for key in table.keys:
            if key.required and key.name not in value.entries:
                self.refusals.add(
                    value, f"{what or table.title} has no {key.name!r}", f"add it: {key.help.lower()}"
                )
        return record

    def key_value(self, key: Key, value: Value) -> Any:
        """The value of one key, or a marker that it couldn't be read."""
        if len(key.kinds) == 1:
            return self._kind(key.kinds[0], key, value)
        for kind in key.kinds:
            if _shape(kind) is type(value):
                return self._kind(kind, key, value)
        self.refusals.wrong(
            value,
            f"{key.name!r}",
            " or ".join(_IN_WORDS.get(kind) or _table_words(kind) for kind in key.kinds),
        )
        return UNREADABLE

    def _kind(self, kind: str, key: Key, value: Value) -> Any:
        simple = SIMPLE.get(kind)
        if simple is not None:
            return simple(self.refusals, key, value)
        if kind.startswith("list:") and not isinstance(value, Array):
            self.refusals.wrong(value, f"{key.name!r}", "a list")
            return UNREADABLE
        if kind.startswith(("map:", "table:")) and not isinstance(value, Object):
            table = TABLES.get(kind.partition(":")[2])
            if not (kind.startswith("table:") and table is not None and table.shorthand):
                self.refusals.wrong(value, f"{key.name!r}", "an object")
                return UNREADABLE
        return value

    # --- templates ------------------------------------------------------------------------------------------------

    def tree(self, value: Value, names: Collection[str]) -> Tree:
        """A value with templates inside."""
        if isinstance(value, Scalar):
            if isinstance(value.value, str) and has_marks(value.value):
                return self.template(value, names)
            return Constant(value.value)
        if isinstance(value, Array):
            return list_tree([self.tree(entry, names) for entry in value.entries])
        return object_tree({key: self.tree(entry, names) for key, entry in value.entries.items()})

    def template(self, value: Scalar, names: Collection[str] | None) -> Template | Constant:
        """A text as a template."""
        if not self._take_code(value, code_size(value.text)):
            return Constant(None)
        try:
            first_line = value.line + 1 if value.literal else 0
            return Template.parse(value.text, self.refusals.place(value), names=names, first_line=first_line)
        except TemplateError as error:
            self.refusals.add_at(error.place, error.what, error.fix)
            return Constant(None)

    def _take_code(self, value: Value, size: int) -> bool:
        had = self.code_left
        self.code_left = had - size
        if had >= 0 > self.code_left:
            self.refusals.add(
                value,
                f"the file holds more than {MAX_CODE // 1024} KB of templates",
                "split it into subgraphs",
            )
        return self.code_left >= 0

    def expression(self, value: Value, names: Collection[str] | None) -> Expression:
        """A bare expression."""
        place = self.refusals.place(value)
        if not isinstance(value, Scalar) or value.value is None:
            self.refusals.wrong(value, "an expression", "text such as state.count < 3")
            return NO_EXPRESSION
        if not self._take_code(value, len(value.text)):
            return NO_EXPRESSION
        try:
            return Expression.parse(value.text, place, names=names)
        except TemplateError as error:
            self.refusals.add_at(error.place, error.what, error.fix)
            return NO_EXPRESSION


#: Stands where an expression couldn't be read; the file is refused before it is ever used.
NO_EXPRESSION = Expression.constant(None, Place("", 0, 0))

_IN_WORDS: Mapping[str, str] = {
    "text": "text",
    "node": "a node's name",
    "nodes": "a list of nodes' names",
    "expression": "an expression",
    "list": "a list",
    "code": "Python text",
}


def _table_words(kind: str) -> str:
    shape, _, name = kind.partition(":")
    keys = ", ".join(key.name for key in TABLES[name].keys)
    return f"a list of {{{keys}}}" if shape == "list" else f"an object {{{keys}}}"


def _shape(kind: str) -> type[Value]:
    if kind in ("list", "nodes") or kind.startswith("list:"):
        return Array
    if kind == "object" or kind.startswith(("map:", "table:")):
        return Object
    return Scalar
