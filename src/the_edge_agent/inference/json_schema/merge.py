"""Merges ``allOf`` and whatever stands beside it into single shapes; pure.

A reference that meets something becomes a new definition of the pair, so recursive schemas come to an end. Knows
nothing of keywords, and leaves impossible shapes in place for ``combine`` to drop.
"""

from __future__ import annotations

from dataclasses import replace

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.bounds import both_numbers
from the_edge_agent.inference.json_schema.check import matches
from the_edge_agent.inference.json_schema.keywords import MAX_DEFINITIONS, MAX_DEPTH, MAX_STEPS
from the_edge_agent.inference.json_schema.shapes import (
    All,
    Anything,
    Array,
    Literals,
    Nothing,
    Number,
    Object,
    Property,
    Reference,
    SchemaDocument,
    Shape,
    Text,
    Union,
    json_equal,
)


def merge(document: SchemaDocument) -> SchemaDocument:
    """The same document without ``All``. Raises SchemaUnsupported where merging grows out of bounds."""
    merger = _Merger(document)
    root = merger.merged(document.root, 0)
    merger.finish()
    return SchemaDocument(root, merger.definitions)


class _Merger:
    def __init__(self, document: SchemaDocument) -> None:
        self.raw = document.definitions
        self.definitions: dict[str, Shape] = {}
        self.done: set[str] = set()
        self.pairs: dict[tuple[str, str], str] = {}
        self.queue: list[tuple[str, Shape, Shape]] = []
        self.count = 0

    def finish(self) -> None:
        """Merge every definition, and those that merging brought about."""
        todo = list(self.raw)
        while todo or self.queue:
            if todo:
                self.definition(todo.pop())
            else:
                key, left, right = self.queue.pop()
                self.definitions[key] = self.both(left, right, 0)

    def definition(self, key: str) -> Shape:
        if key not in self.done and key in self.raw:
            self.done.add(key)
            self.definitions[key] = self.merged(self.raw[key], 0)
        return self.definitions.get(key, Reference(key))

    def merged(self, shape: Shape, depth: int) -> Shape:
        self.bound(depth)
        if isinstance(shape, All):
            whole: Shape = Anything()
            for part in shape.parts:
                whole = self.both(whole, self.merged(part, depth + 1), depth + 1)
            return whole
        if isinstance(shape, Union):
            return replace(shape, options=tuple(self.merged(option, depth + 1) for option in shape.options))
        if isinstance(shape, Array):
            return replace(
                shape,
                prefix=tuple(self.merged(item, depth + 1) for item in shape.prefix),
                items=self.merged(shape.items, depth + 1),
            )
        if isinstance(shape, Object):
            return replace(
                shape,
                properties=tuple(replace(p, shape=self.merged(p.shape, depth + 1)) for p in shape.properties),
                additional=self.merged(shape.additional, depth + 1),
            )
        return shape

    def both(self, a: Shape, b: Shape, depth: int) -> Shape:
        """What meets both."""
        self.bound(depth)
        if isinstance(a, Anything) or isinstance(b, Nothing):
            return b
        if isinstance(b, Anything) or isinstance(a, Nothing):
            return a
        if isinstance(a, Reference) or isinstance(b, Reference):
            return self.both_referred(a, b)
        if isinstance(a, Union):
            return replace(a, options=tuple(self.both(option, b, depth + 1) for option in a.options))
        if isinstance(b, Union):
            return replace(b, options=tuple(self.both(a, option, depth + 1) for option in b.options))
        if isinstance(a, Literals):
            return self.chosen(a, b)
        if isinstance(b, Literals):
            return self.chosen(b, a)
        if isinstance(a, Number) and isinstance(b, Number):
            return both_numbers(a, b)
        if isinstance(a, Text) and isinstance(b, Text):
            return checked_text(
                Text(
                    max(a.min_length, b.min_length),
                    smaller(a.max_length, b.max_length),
                    tuple(dict.fromkeys((*a.patterns, *b.patterns))),
                )
            )
        if isinstance(a, Array) and isinstance(b, Array):
            return self.both_arrays(a, b, depth)
        if isinstance(a, Object) and isinstance(b, Object):
            return self.both_objects(a, b, depth)
        return a if type(a) is type(b) else Nothing()

    def both_referred(self, a: Shape, b: Shape) -> Shape:
        """A new definition for the pair, merged later: recursive schemas meet themselves again here."""
        if a == b:
            return a
        pair = (repr(a), repr(b))
        if pair not in self.pairs:
            self.pairs[pair] = key = f"&{len(self.pairs)}"
            left = Reference(a.key) if isinstance(a, Reference) else a
            self.queue.append((key, self.opened(left), self.opened(b)))
        return Reference(self.pairs[pair])

    def opened(self, shape: Shape) -> Shape:
        seen: set[str] = set()
        while isinstance(shape, Reference):
            if shape.key in seen:
                return Nothing()
            seen.add(shape.key)
            opened = self.definition(shape.key)
            if opened == shape:  # queued and not merged yet
                self.settle(shape.key)
                opened = self.definitions[shape.key]
            shape = opened
        return shape

    def settle(self, key: str) -> None:
        for index, (queued, left, right) in enumerate(self.queue):
            if queued == key:
                del self.queue[index]
                self.definitions[key] = self.both(left, right, 0)
                return
        raise SchemaUnsupported(
            "allOf refers to itself", place="schema/", fix="take the reference out of its own allOf"
        )

    def chosen(self, literals: Literals, other: Shape) -> Shape:
        self.bound(0, len(literals.values) * (len(other.values) if isinstance(other, Literals) else 1))
        if isinstance(other, Literals):
            values = tuple(v for v in literals.values if any(json_equal(v, w) for w in other.values))
        else:
            document = SchemaDocument(other, {**self.raw, **self.definitions})
            values = tuple(value for value in literals.values if matches(document, value))
        return Literals(values) if values else Nothing()

    def both_arrays(self, a: Array, b: Array, depth: int) -> Shape:
        length = max(len(a.prefix), len(b.prefix))
        pairs = ((item_at(a, index), item_at(b, index)) for index in range(length))
        return Array(
            tuple(self.both(x, y, depth + 1) for x, y in pairs),
            self.both(a.items, b.items, depth + 1),
            max(a.min_items, b.min_items),
            smaller(a.max_items, b.max_items),
        )

    def both_objects(self, a: Object, b: Object, depth: int) -> Shape:
        of_a = {entry.name: entry for entry in a.properties}
        of_b = {entry.name: entry for entry in b.properties}
        properties: list[Property] = []
        for name in dict.fromkeys((*of_a, *of_b)):
            left, right = of_a.get(name), of_b.get(name)
            shape = self.both(
                left.shape if left else a.additional, right.shape if right else b.additional, depth + 1
            )
            needed = bool((left and left.required) or (right and right.required))
            properties.append(Property(name, shape, needed))
        return Object(
            tuple(properties),
            self.both(a.additional, b.additional, depth + 1),
            a.open_stated and b.open_stated,
            max(a.min_properties, b.min_properties),
            smaller(a.max_properties, b.max_properties),
        )

    def bound(self, depth: int, steps: int = 1) -> None:
        self.count += steps
        if self.count > MAX_STEPS or depth > 3 * MAX_DEPTH or len(self.pairs) > MAX_DEFINITIONS:
            raise SchemaUnsupported(
                "merging allOf takes too much work", place="schema/", fix="write it flatter"
            )


def item_at(array: Array, index: int) -> Shape:
    """The shape of the item at an index."""
    return array.prefix[index] if index < len(array.prefix) else array.items


def smaller(a: int | None, b: int | None) -> int | None:
    """The smaller of two limits, of which None is none."""
    return min(a, b) if a is not None and b is not None else a if b is None else b


def checked_text(text: Text) -> Shape:
    """The text, or Nothing where its lengths contradict."""
    return Nothing() if text.max_length is not None and text.max_length < text.min_length else text
