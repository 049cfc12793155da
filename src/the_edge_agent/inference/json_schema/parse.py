"""Reads a JSON Schema into shapes; refuses what the table doesn't know, at its JSON pointer.

A schema with keywords of one type and no ``type`` is read as having that type. Knows nothing of instances or grammars.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NoReturn
from urllib.parse import unquote

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.check import find_problems
from the_edge_agent.inference.json_schema.combine import combine
from the_edge_agent.inference.json_schema.formats import FORMATS, format_pattern
from the_edge_agent.inference.json_schema.keywords import (
    KEYWORDS,
    MAX_DEFINITIONS,
    MAX_DEPTH,
    MAX_ENUM,
    MAX_OPTIONS,
    MAX_SHAPES,
)
from the_edge_agent.inference.json_schema.regex import Pattern, RegexUnsupported, parse_pattern
from the_edge_agent.inference.json_schema.shapes import (
    All,
    Anything,
    Array,
    Boolean,
    Literals,
    Nothing,
    Null,
    Number,
    Object,
    Property,
    Reference,
    SchemaDocument,
    Shape,
    Text,
    Union,
    is_number,
)
from the_edge_agent.inference.json_value import JsonObject, is_array, is_object

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")


def parse_schema(schema: JsonObject | bool) -> SchemaDocument:
    """Understand a schema once, for any number of validations.

    Raises:
        SchemaUnsupported: with the JSON pointer of the keyword, for anything unknown, malformed, too large or
            too deep, and for a schema that no value can meet.
    """
    return _Parser(schema).document()


def refuse(pointer: str, what: str, fix: str = "") -> NoReturn:
    """Raise SchemaUnsupported at a JSON pointer."""
    raise SchemaUnsupported(what, place=f"schema{pointer or '/'}", fix=fix)


def pointer_token(name: str) -> str:
    """A name as part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


class _Parser:
    def __init__(self, root: Any) -> None:
        self.root = root
        self.queue: list[str] = []
        self.known: set[str] = set()
        self.count = 0

    def document(self) -> SchemaDocument:
        root = self.shape(self.root, "", 0)
        definitions: dict[str, Shape] = {}
        while self.queue:
            key = self.queue.pop()
            definitions[key] = self.shape(self.target(key), key.removeprefix("#"), 0)
        return combine(SchemaDocument(root, definitions))

    def shape(self, schema: Any, pointer: str, depth: int) -> Shape:
        self.count += 1
        if self.count > MAX_SHAPES:
            refuse(pointer, f"the document holds more than {MAX_SHAPES} schemas", "make it smaller")
        if depth > MAX_DEPTH:
            refuse(pointer, f"it is nested deeper than {MAX_DEPTH}", "flatten it, or name parts under $defs")
        if isinstance(schema, bool):
            return Anything() if schema else Nothing()
        if not is_object(schema):
            refuse(pointer, f"a schema is an object, true or false, not {_named(schema)}")
        for name in schema:
            if name not in KEYWORDS:
                close = get_close_matches(str(name), KEYWORDS, 1)
                refuse(
                    f"{pointer}/{pointer_token(str(name))}",
                    f"the keyword {name!r} isn't supported",
                    f"did you mean {close[0]!r}?" if close else "express it otherwise or leave it out",
                )
        parts = [*self.above_types(schema, pointer, depth), *self.typed(schema, pointer, depth)]
        whole: Shape = parts[0] if len(parts) == 1 else All(tuple(parts)) if parts else Anything()
        if self.flag(schema, "nullable", pointer):
            return Union((whole, Null()))
        return whole

    def above_types(self, schema: Mapping[str, Any], pointer: str, depth: int) -> list[Shape]:
        parts: list[Shape] = []
        if "$ref" in schema:
            parts.append(self.reference(schema["$ref"], f"{pointer}/$ref"))
        if "const" in schema:
            parts.append(self.literals([schema["const"]], f"{pointer}/const"))
        if "enum" in schema:
            values = schema["enum"]
            if not is_array(values) or not 1 <= len(values) <= MAX_ENUM:
                refuse(f"{pointer}/enum", f"enum is a list of 1 to {MAX_ENUM} values")
            parts.append(self.literals(values, f"{pointer}/enum"))
        for name in ("anyOf", "oneOf", "allOf"):
            if name in schema:
                place = f"{pointer}/{name}"
                options = self.shapes(schema[name], place, depth)
                if not options:
                    refuse(place, f"{name} is empty")
                exclusive = name == "oneOf"
                if exclusive and len(options) > MAX_OPTIONS:
                    refuse(place, f"oneOf has more than {MAX_OPTIONS} options", "write anyOf")
                parts.extend(options if name == "allOf" else [Union(options, exclusive, f"schema{place}")])
        for name in ("$defs", "definitions"):  # only what is referred to is read, but it must be a table
            if not is_object(schema.get(name, {})):
                refuse(f"{pointer}/{name}", f"{name} is an object of schemas")
        return parts

    def literals(self, values: Sequence[Any], pointer: str) -> Shape:
        for value in values:
            if find_problems(SchemaDocument(Anything(), {}), value):
                refuse(pointer, f"{value!r:.60} is no JSON value")
        return Literals(tuple(values))

    def typed(self, schema: Mapping[str, Any], pointer: str, depth: int) -> list[Shape]:
        types = schema.get("type")
        if types is None:
            implied = {name for keyword in schema for name in KEYWORDS[keyword].types}
            names = [name for name in _TYPES if name in implied]
        else:
            names = [types] if isinstance(types, str) else types
            if not is_array(names) or not names or any(name not in _TYPES for name in names):
                refuse(f"{pointer}/type", f"type is one or more of {', '.join(_TYPES)}")
        if not names:
            return []
        if "number" in names:
            names = [name for name in names if name != "integer"]
        readers: Mapping[str, Callable[[], Shape]] = {
            "object": lambda: self.object(schema, pointer, depth),
            "array": lambda: self.array(schema, pointer, depth),
            "string": lambda: self.text(schema, pointer),
            "number": lambda: self.number(schema, pointer, integer=False),
            "integer": lambda: self.number(schema, pointer, integer=True),
            "boolean": Boolean,
            "null": Null,
        }
        options = tuple(readers[name]() for name in dict.fromkeys(names))
        return [options[0] if len(options) == 1 else Union(options)]

    def object(self, schema: Mapping[str, Any], pointer: str, depth: int) -> Shape:
        members = schema.get("properties", {})
        if not is_object(members):
            refuse(f"{pointer}/properties", "properties is an object of schemas")
        required = schema.get("required", [])
        if not is_array(required) or not all(isinstance(name, str) for name in required):
            refuse(f"{pointer}/required", "required is a list of names")
        more = self.shape(
            schema.get("additionalProperties", True), f"{pointer}/additionalProperties", depth + 1
        )
        place = f"{pointer}/properties"
        properties = [
            Property(name, self.shape(member, f"{place}/{pointer_token(name)}", depth + 1), name in required)
            for name, member in members.items()
        ]
        undeclared = [name for name in dict.fromkeys(required) if name not in members]
        properties.extend(Property(name, more, required=True) for name in undeclared)
        return Object(
            tuple(properties),
            additional=more,
            open_stated="additionalProperties" in schema or not properties,
            min_properties=self.size(schema, "minProperties", pointer) or 0,
            max_properties=self.size(schema, "maxProperties", pointer),
        )

    def array(self, schema: Mapping[str, Any], pointer: str, depth: int) -> Shape:
        if is_array(schema.get("items")):
            refuse(f"{pointer}/items", "items as a list is of an older draft", "call it prefixItems")
        if self.flag(schema, "uniqueItems", pointer):
            refuse(
                f"{pointer}/uniqueItems", "unique items can't be enforced while generating", "leave it out"
            )
        return Array(
            prefix=self.shapes(schema.get("prefixItems", ()), f"{pointer}/prefixItems", depth),
            items=self.shape(schema.get("items", True), f"{pointer}/items", depth + 1),
            min_items=self.size(schema, "minItems", pointer) or 0,
            max_items=self.size(schema, "maxItems", pointer),
        )

    def text(self, schema: Mapping[str, Any], pointer: str) -> Shape:
        patterns: list[Pattern] = []
        if "format" in schema:
            name = schema["format"]
            if not isinstance(name, str) or name not in FORMATS:
                refuse(
                    f"{pointer}/format",
                    f"the format {name!r} isn't supported",
                    f"known are {', '.join(FORMATS)}",
                )
            patterns.append(format_pattern(name))
        if "pattern" in schema:
            if not isinstance(schema["pattern"], str):
                refuse(f"{pointer}/pattern", "a pattern is text")
            try:
                patterns.append(parse_pattern(schema["pattern"]))
            except RegexUnsupported as error:
                refuse(f"{pointer}/pattern", f"the pattern isn't supported: {error}")
        return Text(
            self.size(schema, "minLength", pointer) or 0,
            self.size(schema, "maxLength", pointer),
            tuple(patterns),
        )

    def number(self, schema: Mapping[str, Any], pointer: str, *, integer: bool) -> Shape:
        low, low_open = self.bound(schema, "minimum", pointer), False
        above = self.bound(schema, "exclusiveMinimum", pointer)
        if above is not None and (low is None or above >= low):
            low, low_open = above, True
        high, high_open = self.bound(schema, "maximum", pointer), False
        below = self.bound(schema, "exclusiveMaximum", pointer)
        if below is not None and (high is None or below <= high):
            high, high_open = below, True
        step = self.bound(schema, "multipleOf", pointer)
        if step is not None and step <= 0:
            refuse(f"{pointer}/multipleOf", "multipleOf is a number above 0")
        return Number(integer, low, high, low_open, high_open, step)

    def reference(self, target: Any, pointer: str) -> Shape:
        if not isinstance(target, str) or not (target == "#" or target.startswith("#/")):
            refuse(pointer, f"{target!r} isn't a place in this document", "write '#/$defs/name'")
        if target not in self.known:
            self.known.add(target)
            if len(self.known) > MAX_DEFINITIONS:
                refuse(
                    pointer,
                    f"references lead to more than {MAX_DEFINITIONS} places",
                    "write some of them in place",
                )
            self.target(target, pointer)
            self.queue.append(target)
        return Reference(target)

    def target(self, key: str, pointer: str = "") -> Any:
        at = self.root
        for token in key.split("/")[1:]:
            name = _unescaped(token)
            if is_object(at) and name not in at:
                name = _unescaped(unquote(token))  # a pointer in a reference is part of a URI
            if is_object(at) and name in at:
                at = at[name]
            elif is_array(at) and name.isdecimal() and int(name) < len(at):
                at = at[int(name)]
            else:
                refuse(pointer, f"nothing stands at {key!r}", "define it under $defs")
        return at

    def shapes(self, schemas: Any, pointer: str, depth: int) -> tuple[Shape, ...]:
        if not is_array(schemas):
            refuse(pointer, "it must be a list of schemas")
        return tuple(
            self.shape(schema, f"{pointer}/{index}", depth + 1) for index, schema in enumerate(schemas)
        )

    def size(self, schema: Mapping[str, Any], name: str, pointer: str) -> int | None:
        value = schema.get(name)
        if value is None and name not in schema:
            return None
        if not is_number(value) or not math.isfinite(value) or value != int(value) or value < 0:
            refuse(f"{pointer}/{name}", f"{name} is a whole number from 0")
        return int(value)

    def bound(self, schema: Mapping[str, Any], name: str, pointer: str) -> Decimal | None:
        if name not in schema:
            return None
        value = schema[name]
        if not is_number(value) or not math.isfinite(value):
            refuse(f"{pointer}/{name}", f"{name} is a number")
        return Decimal(repr(value))

    def flag(self, schema: Mapping[str, Any], name: str, pointer: str) -> bool:
        value = schema.get(name, False)
        if not isinstance(value, bool):
            refuse(f"{pointer}/{name}", f"{name} is true or false")
        return value


def _unescaped(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _named(value: Any) -> str:
    return (
        "null"
        if value is None
        else "a list"
        if is_array(value)
        else f"the {type(value).__name__} {value!r}"[:60]
    )
