"""A GGUF header as a frozen value, and the questions people ask of it. Knows nothing of files or of reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from the_edge_agent.gguf.types import FILE_TYPES, ValueType


@dataclass(frozen=True, slots=True)
class SkippedValue:
    """A value too big to keep: where it lies, for ``load_value``. Strings have ``count`` 1 and ``size_bytes`` long."""

    type: ValueType
    count: int
    offset: int
    size_bytes: int


MetadataValue: TypeAlias = int | float | bool | str | tuple[int | float | bool | str, ...] | SkippedValue


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor: its dimensions (fastest first), its type's name, where its bytes lie in the file."""

    name: str
    dimensions: tuple[int, ...]
    type: str
    offset: int
    size_bytes: int

    @property
    def elements(self) -> int:
        """Product of the dimensions."""
        product = 1
        for dimension in self.dimensions:
            product *= dimension
        return product


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """All a GGUF file says before its weights. Every tensor lies inside ``size_bytes``."""

    version: int
    metadata: Mapping[str, MetadataValue]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_offset: int
    size_bytes: int

    def text(self, key: str) -> str:
        """A string value, or empty."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        """An integer value, or ``default``."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def hyperparameter(self, name: str, default: int = 0) -> int:
        """``{architecture}.{name}``; where the file gives one a layer, the largest."""
        value = self.metadata.get(f"{self.architecture}.{name}")
        if isinstance(value, tuple):
            return max((entry for entry in value if isinstance(entry, int)), default=default)
        return value if isinstance(value, int) else default

    @property
    def architecture(self) -> str:
        """``general.architecture``: llama, gemma3, phi3, ..."""
        return self.text("general.architecture")

    @property
    def name(self) -> str:
        """``general.name``, or empty."""
        return self.text("general.name")

    @property
    def family(self) -> str:
        """What people call the model's kind: ``general.basename`` where it is given, else the architecture."""
        return self.text("general.basename").lower() or self.architecture

    @property
    def license(self) -> str:
        """``general.license`` (an SPDX name or a page's name), or empty."""
        return self.text("general.license")

    @property
    def context_length(self) -> int:
        """Tokens the model was trained for; 0 where the file doesn't say."""
        return self.hyperparameter("context_length")

    @property
    def chat_template(self) -> str:
        """The Jinja source, or empty."""
        return self.text("tokenizer.chat_template")

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        if isinstance(tokens, SkippedValue):
            return tokens.count
        return len(tokens) if isinstance(tokens, tuple) else 0

    @property
    def parameters(self) -> int:
        """Number of weights in this file."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def weights_bytes(self) -> int:
        """Bytes of all tensors in this file."""
        return sum(tensor.size_bytes for tensor in self.tensors)

    @property
    def quantization(self) -> str:
        """``general.file_type`` where it is known, else the type that holds most of the bytes."""
        declared = FILE_TYPES.get(self.number("general.file_type", -1))
        if declared:
            return declared
        bytes_by_type: dict[str, int] = {}
        for tensor in self.tensors:
            bytes_by_type[tensor.type] = bytes_by_type.get(tensor.type, 0) + tensor.size_bytes
        return max(bytes_by_type, key=lambda kind: bytes_by_type[kind]) if bytes_by_type else ""

    @property
    def split_count(self) -> int:
        """How many files the model is split into; 1 where it isn't."""
        return max(self.number("split.count", 1), 1)

    @property
    def split_number(self) -> int:
        """Which of the split files this is, from 0."""
        return self.number("split.no")
