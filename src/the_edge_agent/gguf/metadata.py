"""The key-value section: parsed within a budget, big values stepped over. Pure over a cursor."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from the_edge_agent.gguf import limits
from the_edge_agent.gguf.cursor import Cursor
from the_edge_agent.gguf.header import MetadataValue, SkippedValue
from the_edge_agent.gguf.string_array import skip_strings
from the_edge_agent.gguf.types import VALUE_FORMATS, ValueType

#: Arrays under this prefix are vocabularies; they are never kept, whatever their size.
_VOCABULARY = "tokenizer.ggml."


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a key's value is declared, its type, and for an array the type and number of its elements."""

    offset: int
    type: ValueType
    element: ValueType | None = None
    count: int = 0


class _Budget:
    """How many bytes of values may still be kept."""

    def __init__(self, left_bytes: int) -> None:
        self.left_bytes = left_bytes

    def spend(self, size_bytes: int) -> bool:
        """Whether that much may be kept; takes it if so."""
        if size_bytes > self.left_bytes:
            return False
        self.left_bytes -= size_bytes
        return True


def parse_metadata(cursor: Cursor, count: int) -> tuple[dict[str, MetadataValue], dict[str, KeyPlace]]:
    """Read ``count`` keys and values; returns the values and where each was declared."""
    metadata: dict[str, MetadataValue] = {}
    places: dict[str, KeyPlace] = {}
    budget = _Budget(limits.KEPT_BYTES)
    for index in range(count):
        start = cursor.offset
        key = cursor.name(f"key {index}", limits.KEY_BYTES)
        if key in metadata:
            cursor.fail(f"the key {key!r} stands twice", offset=start)
        if not budget.spend(len(key)):
            cursor.fail("the keys alone are longer than any model's", offset=start)
        declared = cursor.offset
        kind = _value_type(cursor, key)
        if kind is ValueType.ARRAY:
            metadata[key], element, length = _array_value(cursor, key, budget)
            places[key] = KeyPlace(declared, kind, element, length)
        else:
            metadata[key] = _scalar(cursor, key, kind, budget)
            places[key] = KeyPlace(declared, kind)
    return metadata, places


def parse_array(
    cursor: Cursor, kind: ValueType, count: int, what: str
) -> tuple[int | float | bool | str, ...]:
    """Read the elements of an array at the cursor."""
    if kind is ValueType.STRING:
        return tuple(decode_text(cursor.take(cursor.u64(what), what)) for _ in range(count))
    layout = struct.Struct(f"<{count}{VALUE_FORMATS[kind]}")
    values = layout.unpack(cursor.take(layout.size, what))
    return tuple(bool(value) for value in values) if kind is ValueType.BOOL else values


def decode_text(raw: bytes) -> str:
    """Values needn't be UTF-8 (llama.cpp takes any bytes); what isn't is replaced."""
    return raw.decode("utf-8", errors="replace")


def _value_type(cursor: Cursor, key: str) -> ValueType:
    number = cursor.u32(f"the type of {key!r}")
    try:
        return ValueType(number)
    except ValueError:
        cursor.fail(f"the type of {key!r} is {number}, which GGUF doesn't have", offset=cursor.offset - 4)


def _scalar(cursor: Cursor, key: str, kind: ValueType, budget: _Budget) -> MetadataValue:
    what = f"the value of {key!r}"
    if kind is ValueType.STRING:
        size_bytes = cursor.u64(what)
        cursor.need(size_bytes, what)
        if size_bytes <= limits.KEPT_STRING_BYTES and budget.spend(size_bytes):
            return decode_text(cursor.take(size_bytes, what))
        skipped = SkippedValue(ValueType.STRING, 1, cursor.offset, size_bytes)
        cursor.skip(size_bytes, what)
        return skipped
    layout = struct.Struct("<" + VALUE_FORMATS[kind])
    value = layout.unpack(cursor.take(layout.size, what))[0]
    if kind is ValueType.BOOL:
        if value > 1:
            cursor.fail(f"{what} is a bool and says {value}", offset=cursor.offset - 1)
        return bool(value)
    return value


def _array_value(cursor: Cursor, key: str, budget: _Budget) -> tuple[MetadataValue, ValueType, int]:
    what = f"the array {key!r}"
    kind = _value_type(cursor, key)
    if kind is ValueType.ARRAY:
        cursor.fail(f"{what} holds arrays, which llama.cpp doesn't read", offset=cursor.offset - 4)
    count = cursor.u64(what)
    start = cursor.offset
    element_bytes = 8 if kind is ValueType.STRING else struct.calcsize("<" + VALUE_FORMATS[kind])
    if count * element_bytes > cursor.remaining:
        cursor.fail(f"{what} has {count} elements, more than the file has room for", offset=start - 8)
    if kind is ValueType.STRING:
        skip_strings(cursor, count, what)
    else:
        cursor.skip(count * element_bytes, what)
    size_bytes = cursor.offset - start
    too_big = key.startswith(_VOCABULARY) or count > limits.KEPT_ARRAY_ELEMENTS
    if too_big or not budget.spend(size_bytes + 64 * count):
        return SkippedValue(kind, count, start, size_bytes), kind, count
    end = cursor.offset
    cursor.offset = start
    values = parse_array(cursor, kind, count, what)
    cursor.offset = end
    return values, kind, count
