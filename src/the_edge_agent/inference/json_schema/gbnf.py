"""Writes GBNF text: named rules, literals, character classes, counted repeats. Knows nothing of JSON Schema.

llama.cpp turns a repeat of more than 2,000 into an endless one, refuses nested ones, and unrolls every one; so
repeats are built here from blocks of at most BLOCK, which needs about two square roots of the count in rules.
"""

from __future__ import annotations

import math

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.regex import Ranges

MAX_GRAMMAR_SIZE_BYTES = 1_000_000
"""Bytes of one grammar."""
BLOCK = 64
MAX_COUNT = 100_000
"""A larger maximum is generated up to this; a larger minimum is refused."""


class GrammarWriter:
    """Collects rules by name; ``text()`` is the grammar."""

    def __init__(self) -> None:
        self.rules: dict[str, str] = {}
        self.shared: dict[tuple[str, str], str] = {}
        self.size = 0

    def text(self) -> str:
        """The whole grammar, ``root`` first."""
        names = sorted(self.rules, key=lambda name: name != "root")
        return "".join(f"{name} ::= {self.rules[name]}\n" for name in names)

    def reserve(self, stem: str) -> str:
        """A fresh rule name."""
        name, count = stem, len(self.rules)
        while name in self.rules:
            name, count = f"{stem}-{count}", count + 1
        self.rules[name] = ""
        return name

    def define(self, name: str, body: str) -> str:
        """Give a rule its body; returns the name."""
        self.size += len(name) + len(body.encode("utf-8")) + 6
        if self.size > MAX_GRAMMAR_SIZE_BYTES:
            raise SchemaUnsupported(
                f"its grammar is larger than {MAX_GRAMMAR_SIZE_BYTES} bytes",
                place="schema/",
                fix="make the schema smaller",
            )
        self.rules[name] = body
        return name

    def rule(self, stem: str, body: str) -> str:
        """Define a fresh rule; one of the same stem and body is shared."""
        if (stem, body) not in self.shared:
            self.shared[stem, body] = self.define(self.reserve(stem), body)
        return self.shared[stem, body]

    def repeat(self, item: str, low: int, high: int | None, place: str) -> str:
        """``item`` (a rule's name) ``low`` to ``high`` times; None is without end."""
        if low > MAX_COUNT:
            raise SchemaUnsupported(
                f"a minimum of {low}", place=place, fix=f"at most {MAX_COUNT} are possible"
            )
        exact = self._exactly(item, low)
        if high is None:
            return f"{exact} {item}*".strip()
        rest = self._at_most(item, max(0, min(high, MAX_COUNT + low) - low))
        return f"{exact} {rest}".strip() or '""'

    def _exactly(self, item: str, count: int) -> str:
        if count <= BLOCK:
            return "" if count == 0 else item if count == 1 else f"{item}{{{count}}}"
        size = max(BLOCK, math.isqrt(count))
        block = self.rule(f"{item}-x{size}", self._unrolled(item, size))
        blocks, rest = divmod(count, size)
        return f"{self._unrolled(block, blocks)} {self._exactly(item, rest)}".strip()

    def _unrolled(self, item: str, count: int) -> str:
        """Written out in pieces that llama.cpp accepts."""
        full, rest = divmod(count, 1_000)
        pieces = [f"{item}{{1000}}"] * full + ([f"{item}{{{rest}}}"] if rest else [])
        return " ".join(pieces)

    def _at_most(self, item: str, count: int) -> str:
        """0 to ``count``: whole blocks, then a part of one; one parse for each length."""
        if count <= BLOCK:
            return "" if count == 0 else f"{item}?" if count == 1 else f"{item}{{0,{count}}}"
        size = max(BLOCK, math.isqrt(count))
        block = self.rule(f"{item}-x{size}", self._unrolled(item, size))
        part = self.rule(f"{item}-p{size - 1}", f"{item}{{0,{size - 1}}}")
        blocks, rest = divmod(count, size)
        tail = self.rule(f"{item}-m{rest}", self._at_most(item, rest) or '""')
        for index in range(blocks):
            tail = self.rule(f"{item}-m{rest + (index + 1) * size}", f"{part} | {block} {tail}")
        return tail


def literal(text: str, place: str = "schema/") -> str:
    """A GBNF string literal. Raises SchemaUnsupported for text that isn't Unicode (lone surrogates)."""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise SchemaUnsupported("a text holds half a surrogate pair", place=place, fix="remove it")
    return '"' + "".join(_escaped(ord(c)) if c in '"\\' or not c.isprintable() else c for c in text) + '"'


def char_class(ranges: Ranges) -> str:
    """A character class for non-empty code point ranges."""
    if ranges and ranges[0][0] == 0 and ranges[-1][1] == 0x10FFFF and len(ranges) > 1:
        gaps = [(ranges[i][1] + 1, ranges[i + 1][0] - 1) for i in range(len(ranges) - 1)]
        return "[^" + "".join(_span(low, high) for low, high in gaps) + "]"
    return "[" + "".join(_span(low, high) for low, high in ranges) + "]"


def _span(low: int, high: int) -> str:
    return _escaped(low) if low == high else f"{_escaped(low)}-{_escaped(high)}"


def _escaped(code_point: int) -> str:
    character = chr(code_point)
    if character.isascii() and character.isalnum():
        return character
    if code_point <= 0xFF:
        return f"\\x{code_point:02X}"
    return f"\\u{code_point:04X}" if code_point <= 0xFFFF else f"\\U{code_point:08X}"
