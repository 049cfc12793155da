"""Small GGUF files made in memory: sound ones, and ones that lie in a chosen place.

For tests of whatever reads or carries models; the weights are patterned bytes and answer nothing. Knows the file
format and nothing of llama.cpp.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from the_edge_agent.gguf.types import TENSOR_TYPES, VALUE_FORMATS, ValueType

_PIECE_BYTES = 1 << 24
#: What ``build`` writes behind the table at the most, whatever the tensors claim.
_LARGEST_DATA_BYTES = 1 << 20

Typed = tuple[ValueType, Any]
"""A value with its GGUF type; arrays as ``(ValueType.ARRAY, (element_type, [values]))``."""


def pack_string(text: str | bytes) -> bytes:
    """A length-prefixed string."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def pack_value(kind: ValueType, value: Any) -> bytes:
    """A value without its type."""
    if kind is ValueType.STRING:
        return pack_string(value)
    if kind is ValueType.ARRAY:
        element, entries = value
        body = b"".join(pack_value(element, entry) for entry in entries)
        return struct.pack("<IQ", element, len(entries)) + body
    return struct.pack("<" + VALUE_FORMATS[kind], value)


def pack_key(key: str | bytes, kind: ValueType, value: Any) -> bytes:
    """A key-value pair as it stands in the file."""
    return pack_string(key) + struct.pack("<I", kind) + pack_value(kind, value)


@dataclass(frozen=True, slots=True)
class FakeTensor:
    """A tensor entry. ``offset`` None places it where it belongs; a number is written as given."""

    name: str
    dimensions: Sequence[int] = (32,)
    type: int = 0
    offset: int | None = None

    def size_bytes(self) -> int:
        """Bytes of data by the type's own table (0 for unknown types)."""
        kind = TENSOR_TYPES.get(self.type)
        elements = 1
        for dimension in self.dimensions:
            elements *= dimension
        return elements // kind.block_elements * kind.block_bytes if kind else 0


DEFAULT_METADATA: Mapping[str, Typed] = {
    "general.architecture": (ValueType.STRING, "llama"),
    "general.name": (ValueType.STRING, "pattern"),
    "general.file_type": (ValueType.UINT32, 0),
    "llama.context_length": (ValueType.UINT32, 256),
    "llama.embedding_length": (ValueType.UINT32, 32),
    "llama.block_count": (ValueType.UINT32, 1),
    "llama.attention.head_count": (ValueType.UINT32, 2),
    "tokenizer.ggml.tokens": (ValueType.ARRAY, (ValueType.STRING, ["<s>", "a", "b"])),
}


@dataclass(frozen=True, slots=True)
class FakeGguf:
    """A GGUF file to be written by ``build``; every default is sound, every field can be made to lie."""

    metadata: Mapping[str, Typed] = field(default_factory=lambda: dict(DEFAULT_METADATA))
    tensors: Sequence[FakeTensor] = (
        FakeTensor("token_embd.weight", (32, 4)),
        FakeTensor("output_norm.weight"),
    )
    magic: bytes = b"GGUF"
    version: int = 3
    tensor_count: int | None = None
    key_count: int | None = None
    alignment: int = 32
    extra_keys: bytes = b""
    """Raw bytes behind the keys; count them in ``key_count``."""
    cut_bytes: int = 0
    """How much is missing at the end."""

    def build(self) -> bytes:
        """The file's bytes."""
        keys = b"".join(pack_key(key, *typed) for key, typed in self.metadata.items()) + self.extra_keys
        offset = 0
        table = b""
        for tensor in self.tensors:
            table += pack_string(tensor.name) + struct.pack("<I", len(tensor.dimensions))
            table += struct.pack(f"<{len(tensor.dimensions)}q", *tensor.dimensions)
            table += struct.pack("<IQ", tensor.type, offset if tensor.offset is None else tensor.offset)
            offset += tensor.size_bytes() + -tensor.size_bytes() % max(self.alignment, 1)
        tensor_count = len(self.tensors) if self.tensor_count is None else self.tensor_count
        key_count = len(self.metadata) if self.key_count is None else self.key_count
        head = self.magic + struct.pack("<IQQ", self.version, tensor_count, key_count) + keys + table
        head += b"\0" * (-len(head) % max(self.alignment, 1))
        whole = head + patterned_bytes(min(max(offset, 0), _LARGEST_DATA_BYTES))
        return whole[: len(whole) - self.cut_bytes]


def patterned_bytes(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes that repeat nowhere near, the same for the same seed: so that a misplaced piece shows."""
    chance = random.Random(seed)  # noqa: S311 - a pattern, not a secret
    pieces = [
        chance.randbytes(min(_PIECE_BYTES, size_bytes - at)) for at in range(0, size_bytes, _PIECE_BYTES)
    ]
    return b"".join(pieces)


def pattern_model(size_bytes: int, *, seed: int = 1) -> bytes:
    """A sound GGUF file of about ``size_bytes`` (at least 1 KiB)."""
    rows = max((size_bytes - 640) // 128, 1)
    base = FakeGguf(tensors=(FakeTensor("token_embd.weight", (32, rows)),)).build()
    data_bytes = rows * 128
    return base[: len(base) - min(data_bytes, _LARGEST_DATA_BYTES)] + patterned_bytes(data_bytes, seed)
