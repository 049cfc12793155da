"""Turns a parsed schema into a GBNF grammar for llama.cpp: whatever it derives is valid.

The grammar derives a canonical part of what the schema admits: members in the order declared, at most one space and
only behind ``,`` and ``:``, undeclared members only where the schema asks for them. Knows nothing of tokens or samplers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.gbnf import GrammarWriter, char_class, literal
from the_edge_agent.inference.json_schema.numerals import number_body
from the_edge_agent.inference.json_schema.regex import ANY, Ranges
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
)
from the_edge_agent.inference.json_schema.text_automaton import text_states
from the_edge_agent.inference.json_value import JsonValue

MAX_FREE_DEPTH = 8
"""Deepest nesting that is generated where the schema says nothing; a schema's own nesting isn't limited by it."""
MAX_KEY_LENGTH = 64
"""Longest generated name of an undeclared member, so that a weak model can't go on for ever inside one."""
_GAP = '" "?'
_HEX = "[0-9a-fA-F]"
# One code point of a string, raw or escaped; escaped surrogates are left out, so lengths count right.
_CHAR = rf'[^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CefEF] {_HEX}{{3}} | [dD] [0-7] {_HEX}{{2}}))'
_SHORT_ESCAPES = {0x08: "b", 0x09: "t", 0x0A: "n", 0x0C: "f", 0x0D: "r", 0x22: '"', 0x5C: "\\"}


def write_grammar(document: SchemaDocument) -> str:
    """GBNF text with the start rule ``root``. Raises SchemaUnsupported where it would be too large."""
    writer = _ShapeWriter(document)
    writer.root()
    return writer.out.text()


@dataclass(slots=True)
class _Names:
    """Names as a tree of their characters."""

    longer: dict[str, _Names] = field(default_factory=dict[str, "_Names"])
    ends: bool = False


class _ShapeWriter:
    def __init__(self, document: SchemaDocument) -> None:
        self.document = document
        self.out = GrammarWriter()
        self.named: dict[str, str] = {}
        self.todo: list[str] = []

    def root(self) -> None:
        self.out.reserve("root")
        self.out.define("root", self.body(self.document.root, "schema"))
        while self.todo:
            key = self.todo.pop()
            self.out.define(self.named[key], self.body(self.document.definitions[key], f"schema{key[1:]}"))

    def of(self, shape: Shape, place: str) -> str:
        """A rule's name for the shape."""
        if isinstance(shape, Reference):
            if shape.key not in self.named:
                self.named[shape.key] = self.out.reserve("def")
                self.todo.append(shape.key)
            return self.named[shape.key]
        if isinstance(shape, Anything):
            return self.anything(MAX_FREE_DEPTH)
        if isinstance(shape, Text) and shape == Text():
            return self.string()
        stem = type(shape).__name__.lower()
        if isinstance(shape, (Object, Array)):
            name = self.out.reserve(stem)
            return self.out.define(name, self.body(shape, place))
        return self.out.rule(stem, self.body(shape, place))

    def body(self, shape: Shape, place: str) -> str:
        match shape:
            case Null():
                return '"null"'
            case Boolean():
                return '"true" | "false"'
            case Number():
                return number_body(shape, place)
            case Text():
                return self.text(shape, place)
            case Literals():
                return " | ".join(dict.fromkeys(literal(_json(value), place) for value in shape.values))
            case Array():
                return self.array(shape, place)
            case Object():
                return self.object(shape, place)
            case Union():
                return " | ".join(dict.fromkeys(self.of(option, place) for option in shape.options))
            case Nothing() | All():
                raise SchemaUnsupported("no value can stand here", place=place)
            case _:
                return self.of(shape, place)

    def string(self) -> str:
        return self.out.rule("string", f'"\\"" {self.out.rule("char", _CHAR)}* "\\""')

    def text(self, shape: Text, place: str) -> str:
        if not shape.patterns:
            char = self.out.rule("char", _CHAR)
            return f'"\\"" {self.out.repeat(char, shape.min_length, shape.max_length, place)} "\\""'
        states = text_states(shape, place)
        names = [self.out.reserve("text") for _ in states]
        for name, (moves, final) in zip(names, states, strict=True):
            options = [
                f"{piece} {names[target]}" for ranges, target in moves for piece in _json_chars(ranges)
            ]
            self.out.define(name, " | ".join([*options, *(['"\\""'] if final else [])]))
        return f'"\\"" {names[0]}'

    def array(self, shape: Array, place: str) -> str:
        high = shape.max_items
        if isinstance(shape.items, Nothing):
            high = len(shape.prefix) if high is None else min(high, len(shape.prefix))
        for index, item in enumerate(shape.prefix[:high]):
            if isinstance(item, Nothing):
                high = index
                break
        if high == 0:
            return '"[]"'
        prefix = [self.of(item, f"{place}/prefixItems/{i}") for i, item in enumerate(shape.prefix[:high])]
        count = len(prefix)
        # What follows item number `count`: the open-ended part.
        tail = ""
        if high is None or high > count:
            item = self.of(shape.items, f"{place}/items")
            low = max(0, shape.min_items - count)
            more = None if high is None else high - count
            if count == 0:
                next_item = self.out.rule(f"more-{item}", f'"," {_GAP} {item}')
                following = self.out.repeat(
                    next_item, max(0, low - 1), None if more is None else more - 1, place
                )
                some = f"{item} {following}" if following != '""' else item
                return f'"[" {some} "]"' if low else f'"[" ({some})? "]"'
            next_item = self.out.rule(f"more-{item}", f'"," {_GAP} {item}')
            tail = self.out.repeat(next_item, low, more, place)
        for index in range(count - 1, -1, -1):
            piece = f'"," {_GAP} {prefix[index]}' if index else prefix[index]
            whole = self.out.rule("items", f"{piece} {tail}".strip())
            tail = whole if index < shape.min_items else f"{whole}?"
        return f'"[" {tail} "]"'

    def object(self, shape: Object, place: str) -> str:
        properties = [entry for entry in shape.properties if not isinstance(entry.shape, Nothing)]
        opened = shape.open_stated and not isinstance(shape.additional, Nothing)
        fewest = sum(entry.required for entry in properties)
        if shape.max_properties is not None and fewest == shape.max_properties:
            properties, opened = [entry for entry in properties if entry.required], False
        top = None if shape.max_properties is None else shape.max_properties - len(properties)
        if top is not None and top < 0:
            raise SchemaUnsupported(
                "maxProperties below the number of declared members can't be generated",
                place=f"{place}/maxProperties",
                fix="declare fewer members, or write the combinations as anyOf",
            )
        missing = shape.min_properties - fewest
        if missing > 0 and properties and fewest < len(properties):
            raise SchemaUnsupported(
                "minProperties above the number of required members can't be generated",
                place=f"{place}/minProperties",
                fix="name the members that are required",
            )
        if missing > 0 and (missing > 1 or not opened):
            # Generated keys may repeat, and a repeated key counts once.
            raise SchemaUnsupported(
                "minProperties can't be generated",
                place=f"{place}/minProperties",
                fix="use 1, or name the members",
            )
        return self.members(
            shape, properties, opened=opened and top != 0, least=missing > 0, most=top, place=place
        )

    def members(
        self,
        shape: Object,
        properties: Sequence[Property],
        *,
        opened: bool,
        least: bool,
        most: int | None,
        place: str,
    ) -> str:
        pairs = [
            self.out.rule(
                "member",
                f"{literal(_json(entry.name) + ':', place)} {_GAP} {self.of(entry.shape, f'{place}/properties/{entry.name}')}",
            )
            for entry in properties
        ]
        rest, alone = "", ""
        if opened:
            key = self.key([entry.name for entry in shape.properties])
            extra = self.out.rule(
                "extra", f'{key} ":" {_GAP} {self.of(shape.additional, f"{place}/additionalProperties")}'
            )
            next_extra = self.out.rule(f"more-{extra}", f'"," {_GAP} {extra}')
            rest = self.out.repeat(next_extra, int(least and bool(pairs)), most, place)
            alone = f"{extra} {self.out.repeat(next_extra, 0, None if most is None else most - 1, place)}"
        if not pairs:
            return (f'"{{" {alone} "}}"' if least else f'"{{" ({alone})? "}}"') if opened else '"{}"'
        # tails[i]: everything from member i on, when something stands before it.
        tails = [""] * len(pairs) + [rest]
        for index in range(len(pairs) - 1, -1, -1):
            here = f'"," {_GAP} {pairs[index]}'
            body = (
                f"{here} {tails[index + 1]}"
                if properties[index].required
                else f"({here})? {tails[index + 1]}"
            )
            tails[index] = self.out.rule("tail", body.strip())
        starts: list[str] = []
        for index, pair in enumerate(pairs):
            starts.append(f"{pair} {tails[index + 1]}".strip())
            if properties[index].required:
                break
        else:
            starts.extend([alone] if alone else [])
            return f'"{{" ({" | ".join(starts)})? "}}"' if not least else f'"{{" ({" | ".join(starts)}) "}}"'
        return f'"{{" ({" | ".join(starts)}) "}}"'

    def key(self, taken: Sequence[str]) -> str:
        """A key that is none of ``taken``: a tree of their characters; escapes are left out of such keys."""
        plain = self.out.rule("key-char", r'[^"\\\x00-\x1F]')
        if not taken:
            return self.out.rule("key", f'"\\"" {plain}{{0,{MAX_KEY_LENGTH}}} "\\""')
        tree = _Names()
        for name in taken:
            at = tree
            for character in name:
                at = at.longer.setdefault(character, _Names())
            at.ends = True
        return self.out.rule("key", f'"\\"" {self.key_rest(tree, plain, 0)}')

    def key_rest(self, names: _Names, plain: str, depth: int) -> str:
        if depth > 200:
            raise SchemaUnsupported(
                "a member's name of more than 200 characters beside additionalProperties", place="schema/"
            )
        other = _without(ANY, {*map(ord, names.longer), 0x22, 0x5C, *range(0x20)})
        options = [f'{char_class(other)} {plain}{{0,{MAX_KEY_LENGTH}}} "\\""']
        for character, longer in names.longer.items():
            options.append(f"{literal(character)} {self.key_rest(longer, plain, depth + 1)}")
        if not names.ends:
            options.append('"\\""')
        return self.out.rule("key-rest", " | ".join(options))

    def anything(self, depth: int) -> str:
        """Any JSON value, nested at most ``depth`` deep."""
        scalars = [
            self.string(),
            self.out.rule("number", number_body(Number(), "")),
            self.out.rule("boolean", '"true" | "false"'),
            self.out.rule("null", '"null"'),
        ]
        if depth == 0:
            return self.out.rule("value0", " | ".join(scalars))
        inner = self.anything(depth - 1)
        members = self.free_object(depth, inner)
        items = self.out.rule(f"list{depth}", f'"[" ({inner} ("," {_GAP} {inner})*)? "]"')
        return self.out.rule(f"value{depth}", " | ".join([members, items, *scalars]))

    def free_object(self, depth: int, inner: str) -> str:
        pair = self.out.rule(f"pair{depth}", f'{self.string()} ":" {_GAP} {inner}')
        return self.out.rule(f"map{depth}", f'"{{" ({pair} ("," {_GAP} {pair})*)? "}}"')


def write_object_grammar() -> str:
    """GBNF for any JSON object."""
    writer = _ShapeWriter(SchemaDocument(Object(), {}))
    writer.out.reserve("root")
    inner = writer.anything(MAX_FREE_DEPTH)
    writer.out.define("root", writer.free_object(MAX_FREE_DEPTH + 1, inner))
    return writer.out.text()


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def _json_chars(ranges: Ranges) -> list[str]:
    """Alternatives for one character of these ranges inside a JSON string."""
    special = {*range(0x20), 0x22, 0x5C}
    raw = _without(ranges, special)
    pieces = [char_class(raw)] if raw else []
    for code_point in sorted(special):
        if any(low <= code_point <= high for low, high in ranges):
            short = _SHORT_ESCAPES.get(code_point)
            pieces.append(literal(f"\\{short}" if short else f"\\u{code_point:04x}"))
    return pieces


def _without(ranges: Ranges, taken: set[int]) -> Ranges:
    result: list[tuple[int, int]] = []
    for low, high in ranges:
        at = low
        for code_point in sorted(point for point in taken if low <= point <= high):
            if at < code_point:
                result.append((at, code_point - 1))
            at = code_point + 1
        if at <= high:
            result.append((at, high))
    return tuple(result)
