"""Turns raw shapes into shapes that say everything in one place; pure.

``combine`` merges allOf, drops what no value can meet, and refuses what can't be honoured exactly: a ``oneOf`` whose
options may both match, references that lead only to themselves, steps that can't be counted out.
"""

from __future__ import annotations

from dataclasses import replace

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema.bounds import decimal_step, is_empty_number, stepped_values
from the_edge_agent.inference.json_schema.exclusive import check_exclusive
from the_edge_agent.inference.json_schema.merge import checked_text, item_at, merge
from the_edge_agent.inference.json_schema.shapes import (
    Array,
    Nothing,
    Number,
    Object,
    Reference,
    SchemaDocument,
    Shape,
    Text,
    Union,
)


def combine(document: SchemaDocument) -> SchemaDocument:
    """The same document without ``All``, without impossible options, every ``oneOf`` known to be exclusive.

    Raises:
        SchemaUnsupported: for what can't be honoured, or when no value at all is possible.
    """
    merged = merge(document)
    _check_guarded(merged)
    pruned = _without_impossible(merged)
    if isinstance(pruned.root, Nothing):
        raise SchemaUnsupported(
            "no value can meet this schema", place="schema/", fix="loosen what contradicts"
        )
    for shape in _walk(pruned):
        if isinstance(shape, Union) and shape.exclusive:
            check_exclusive(shape, pruned)
        if isinstance(shape, Number):
            _check_step(shape)
    return pruned


def _check_step(number: Number) -> None:
    if number.step is not None and decimal_step(number) is None:
        stepped_values(number)


def _children(shape: Shape) -> tuple[Shape, ...]:
    if isinstance(shape, Union):
        return shape.options
    if isinstance(shape, Array):
        return (*shape.prefix, shape.items)
    if isinstance(shape, Object):
        return (*(entry.shape for entry in shape.properties), shape.additional)
    return ()


def _walk(document: SchemaDocument) -> list[Shape]:
    todo = [document.root, *document.definitions.values()]
    found: list[Shape] = []
    while todo:
        shape = todo.pop()
        found.append(shape)
        todo.extend(_children(shape))
    return found


def _check_guarded(document: SchemaDocument) -> None:
    """Refuse references that lead back to themselves through nothing but references and unions."""
    finished: set[str] = set()
    for start in document.definitions:
        trail: dict[str, None] = {}
        todo: list[tuple[str, bool]] = [(start, False)]
        while todo:
            key, leaving = todo.pop()
            if leaving:
                trail.pop(key)
                finished.add(key)
            elif key in trail:
                raise SchemaUnsupported(
                    "a reference leads only to itself", place=f"schema{key.removeprefix('#')}"
                )
            elif key not in finished:
                trail[key] = None
                todo.append((key, True))
                todo.extend((inner, False) for inner in _unguarded(document.definitions[key]))


def _unguarded(shape: Shape) -> list[str]:
    todo, keys = [shape], list[str]()
    while todo:
        at = todo.pop()
        if isinstance(at, Reference):
            keys.append(at.key)
        elif isinstance(at, Union):
            todo.extend(at.options)
    return keys


def _without_impossible(document: SchemaDocument) -> SchemaDocument:
    """Drop what no finite value can meet; a least fixpoint finds which definitions some value meets."""
    possible: set[str] = set()
    grown = True
    while grown:
        grown = False
        for key, shape in document.definitions.items():
            if key not in possible and _is_possible(shape, possible):
                possible.add(key)
                grown = True
    definitions = {k: _pruned(v, possible) for k, v in document.definitions.items() if k in possible}
    root = _pruned(document.root, possible) if _is_possible(document.root, possible) else Nothing()
    return SchemaDocument(root, definitions)


def _is_possible(shape: Shape, possible: set[str]) -> bool:
    if isinstance(shape, Nothing):
        return False
    if isinstance(shape, Reference):
        return shape.key in possible
    if isinstance(shape, Union):
        return any(_is_possible(option, possible) for option in shape.options)
    if isinstance(shape, Number):
        return not is_empty_number(shape)
    if isinstance(shape, Text):
        return not isinstance(checked_text(shape), Nothing)
    if isinstance(shape, Array):
        if shape.max_items is not None and shape.max_items < shape.min_items:
            return False
        return all(
            _is_possible(item_at(shape, i), possible)
            for i in range(min(shape.min_items, len(shape.prefix) + 1))
        )
    if isinstance(shape, Object):
        fewest = max(shape.min_properties, sum(entry.required for entry in shape.properties))
        if shape.max_properties is not None and fewest > shape.max_properties:
            return False
        return all(_is_possible(entry.shape, possible) for entry in shape.properties if entry.required)
    return True


def _pruned(shape: Shape, possible: set[str]) -> Shape:
    if not _is_possible(shape, possible):
        return Nothing()
    if isinstance(shape, Union):
        options = [_pruned(option, possible) for option in shape.options if _is_possible(option, possible)]
        if not shape.exclusive:  # the same alternative twice would double a grammar's work at each level
            options = list({repr(option): option for option in options}.values())
        return options[0] if len(options) == 1 else replace(shape, options=tuple(options))
    if isinstance(shape, Array):
        prefix = tuple(_pruned(item, possible) for item in shape.prefix)
        return replace(shape, prefix=prefix, items=_pruned(shape.items, possible))
    if isinstance(shape, Object):
        properties = tuple(replace(entry, shape=_pruned(entry.shape, possible)) for entry in shape.properties)
        return replace(shape, properties=properties, additional=_pruned(shape.additional, possible))
    return shape
