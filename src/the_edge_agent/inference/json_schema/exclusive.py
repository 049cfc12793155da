"""Whether the options of a ``oneOf`` can be told apart for certain; pure.

A grammar derives a value of one option; that no other option matches too must be known beforehand.
"""

from __future__ import annotations

from dataclasses import replace

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.bounds import both_numbers, is_empty_number
from the_edge_agent.inference.json_schema.check import matches
from the_edge_agent.inference.json_schema.keywords import MAX_STEPS
from the_edge_agent.inference.json_schema.merge import smaller
from the_edge_agent.inference.json_schema.shapes import (
    Anything,
    Array,
    Literals,
    Nothing,
    Number,
    Object,
    Reference,
    SchemaDocument,
    Shape,
    Text,
    Union,
)


def check_exclusive(union: Union, document: SchemaDocument) -> None:
    """Raise SchemaUnsupported at the keyword unless no value can meet two of the options."""
    comparison = _Comparison(document)
    for index, left in enumerate(union.options):
        for right in union.options[index + 1 :]:
            if not comparison.apart(left, right, 0):
                raise SchemaUnsupported(
                    "two options of oneOf may match the same value",
                    place=union.place,
                    fix="write anyOf, or give each option a required property with a different const",
                )


class _Comparison:
    """Counts its steps; what takes too many is taken for not apart."""

    def __init__(self, document: SchemaDocument) -> None:
        self.definitions = document.definitions
        self.steps = 0

    def apart(self, a: Shape, b: Shape, depth: int) -> bool:
        """Whether it is certain that no value meets both."""
        self.steps += 1
        if depth > 8 or self.steps > MAX_STEPS:
            return False
        if isinstance(a, Reference):
            return self.apart(self.definitions.get(a.key, Nothing()), b, depth + 1)
        if isinstance(b, Reference):
            return self.apart(a, self.definitions.get(b.key, Nothing()), depth + 1)
        if isinstance(a, Nothing) or isinstance(b, Nothing):
            return True
        if isinstance(a, Anything) or isinstance(b, Anything):
            return False
        if isinstance(a, Union):
            return all(self.apart(option, b, depth + 1) for option in a.options)
        if isinstance(b, Union):
            return all(self.apart(a, option, depth + 1) for option in b.options)
        if isinstance(a, Literals):
            self.steps += len(a.values) * (len(b.values) if isinstance(b, Literals) else 1)
            other = SchemaDocument(b, self.definitions)
            return self.steps <= MAX_STEPS and not any(matches(other, value) for value in a.values)
        if isinstance(b, Literals):
            return self.apart(b, a, depth + 1)
        if isinstance(a, Number) and isinstance(b, Number):
            return is_empty_number(both_numbers(replace(a, step=None), replace(b, step=None)))
        if isinstance(a, Text) and isinstance(b, Text):
            top = smaller(a.max_length, b.max_length)
            return top is not None and top < max(a.min_length, b.min_length)
        if isinstance(a, Array) and isinstance(b, Array):
            top = smaller(a.max_items, b.max_items)
            return top is not None and top < max(a.min_items, b.min_items)
        if isinstance(a, Object) and isinstance(b, Object):
            return self.objects_apart(a, b, depth)
        return type(a) is not type(b)

    def objects_apart(self, a: Object, b: Object, depth: int) -> bool:
        """Whether one needs a member that the other forbids or wants of another shape."""
        for one, other in ((a, b), (b, a)):
            members = {entry.name: entry.shape for entry in other.properties}
            for entry in one.properties:
                wanted = members.get(entry.name, other.additional)
                if entry.required and self.apart(entry.shape, wanted, depth + 1):
                    return True
        return False
