"""Keys whose type native code takes for granted: what it casts without looking must be what it casts to.

llama.cpp reads vocabularies through raw pointers and trusts the lengths of parallel arrays to agree. Pure; knows
nothing of reading.
"""

from __future__ import annotations

from collections.abc import Mapping

from the_edge_agent.gguf.cursor import Cursor
from the_edge_agent.gguf.metadata import KeyPlace
from the_edge_agent.gguf.types import ValueType

_INTEGERS = (ValueType.UINT8, ValueType.UINT16, ValueType.UINT32, ValueType.UINT64, ValueType.INT32)

_SCALARS: dict[str, tuple[ValueType, ...]] = {
    "general.alignment": (ValueType.UINT32,),
    "general.architecture": (ValueType.STRING,),
    "general.name": (ValueType.STRING,),
    "general.file_type": _INTEGERS,
    "tokenizer.ggml.model": (ValueType.STRING,),
    "tokenizer.ggml.pre": (ValueType.STRING,),
    "tokenizer.chat_template": (ValueType.STRING,),
    "split.no": _INTEGERS,
    "split.count": _INTEGERS,
    "split.tensors.count": _INTEGERS,
}
_TOKENS = "tokenizer.ggml.tokens"
_ARRAYS: dict[str, tuple[ValueType, ...]] = {
    _TOKENS: (ValueType.STRING,),
    "tokenizer.ggml.merges": (ValueType.STRING,),
    "tokenizer.ggml.scores": (ValueType.FLOAT32, ValueType.INT32),
    "tokenizer.ggml.token_type": (ValueType.INT32,),
    "tokenizer.ggml.precompiled_charsmap": (ValueType.INT8, ValueType.UINT8),
}
_ONE_PER_TOKEN = ("tokenizer.ggml.scores", "tokenizer.ggml.token_type")


def check_known_keys(cursor: Cursor, places: Mapping[str, KeyPlace]) -> None:
    """Raise GgufInvalid at the first known key whose type or length isn't what native code expects."""
    for key, types in _SCALARS.items():
        place = places.get(key)
        if place is not None and place.type not in types:
            cursor.fail(f"{key} is of type {place.type.name} and not {_names(types)}", offset=place.offset)
    for key, types in _ARRAYS.items():
        place = places.get(key)
        if place is not None and place.element not in types:
            cursor.fail(f"{key} is not an array of {_names(types)}", offset=place.offset)
    tokens = places.get(_TOKENS)
    for key in _ONE_PER_TOKEN:
        place = places.get(key)
        if place is not None and tokens is not None and place.count < tokens.count:
            cursor.fail(f"{key} has {place.count} entries for {tokens.count} tokens", offset=place.offset)


def _names(types: tuple[ValueType, ...]) -> str:
    return " or ".join(kind.name for kind in types)
