"""The tensor table: names, shapes and places, each checked against the file's real length. Pure over a cursor."""

from __future__ import annotations

import struct

from the_edge_agent.gguf import limits
from the_edge_agent.gguf.cursor import Cursor
from the_edge_agent.gguf.header import TensorInfo
from the_edge_agent.gguf.types import TENSOR_TYPES

_INT64_MAX = 2**63 - 1


def parse_tensors(cursor: Cursor, count: int, alignment: int) -> tuple[tuple[TensorInfo, ...], int]:
    """Read ``count`` tensor entries; returns them and the offset of the data section.

    As in llama.cpp, each tensor must begin exactly where the one before it ends, padded to the alignment.
    """
    raw: list[tuple[str, tuple[int, ...], str, int, int, int]] = []
    names: set[str] = set()
    for index in range(count):
        start = cursor.offset
        name = cursor.name(f"the name of tensor {index}", limits.TENSOR_NAME_BYTES)
        if name in names:
            cursor.fail(f"the tensor {name!r} stands twice", offset=start)
        names.add(name)
        dimensions = _dimensions(cursor, name)
        kind, size_bytes = _tensor_type(cursor, name, dimensions)
        offset = cursor.u64(f"the offset of tensor {name!r}")
        raw.append((name, dimensions, kind, offset, size_bytes, cursor.offset - 8))
    padding = -cursor.offset % alignment if count else 0
    data_offset = cursor.offset + padding
    if data_offset > cursor.source.size_bytes:
        cursor.fail("the file ends before its tensor data begins")
    data_bytes = cursor.source.size_bytes - data_offset
    expected = 0
    tensors: list[TensorInfo] = []
    for name, dimensions, kind, offset, size_bytes, place in raw:
        if offset != expected:
            cursor.fail(
                f"tensor {name!r} lies at {offset} of the data and not at {expected}, where the one before it ends",
                offset=place,
            )
        if offset + size_bytes > data_bytes:
            cursor.fail(
                f"tensor {name!r} needs {size_bytes} bytes from {offset} of the data, which has {data_bytes}",
                offset=place,
            )
        expected = offset + size_bytes + -size_bytes % alignment
        tensors.append(TensorInfo(name, dimensions, kind, data_offset + offset, size_bytes))
    return tuple(tensors), data_offset


def _dimensions(cursor: Cursor, name: str) -> tuple[int, ...]:
    count = cursor.u32(f"the dimensions of tensor {name!r}")
    if not 0 < count <= limits.DIMENSIONS:
        cursor.fail(
            f"tensor {name!r} has {count} dimensions, and 1 to {limits.DIMENSIONS} are allowed",
            offset=cursor.offset - 4,
        )
    start = cursor.offset
    dimensions = struct.unpack(f"<{count}q", cursor.take(8 * count, f"the dimensions of tensor {name!r}"))
    elements = 1
    for index, dimension in enumerate(dimensions):
        if dimension <= 0:
            cursor.fail(f"dimension {index} of tensor {name!r} is {dimension}", offset=start + 8 * index)
        elements *= dimension
        if elements > _INT64_MAX:
            cursor.fail(f"tensor {name!r} has more elements than 64 bits can count", offset=start + 8 * index)
    return dimensions


def _tensor_type(cursor: Cursor, name: str, dimensions: tuple[int, ...]) -> tuple[str, int]:
    number = cursor.u32(f"the type of tensor {name!r}")
    kind = TENSOR_TYPES.get(number)
    if kind is None:
        cursor.fail(
            f"the type of tensor {name!r} is {number}, which llama.cpp doesn't have", offset=cursor.offset - 4
        )
    if dimensions[0] % kind.block_elements:
        cursor.fail(
            f"a row of tensor {name!r} has {dimensions[0]} elements, no multiple of {kind.name}'s {kind.block_elements}",
            offset=cursor.offset - 4,
        )
    elements = 1
    for dimension in dimensions:
        elements *= dimension
    size_bytes = elements // kind.block_elements * kind.block_bytes
    if size_bytes > _INT64_MAX:
        cursor.fail(f"tensor {name!r} has more bytes than 64 bits can count", offset=cursor.offset - 4)
    return kind.name, size_bytes
