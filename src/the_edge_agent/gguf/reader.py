"""Reading a GGUF header from a file that may lie: the last check before native code sees it.

At least as strict as llama.cpp's own reader, and bounded in time and memory: no count, length or offset is used before
it was compared with what the file can hold. Big arrays (vocabularies) are stepped over; ``load_value`` reads one when
it is asked for. Knows nothing of llama.cpp's library, nor of where models are kept.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from the_edge_agent.gguf import limits
from the_edge_agent.gguf.cursor import ByteSource, Cursor, MemorySource, open_source
from the_edge_agent.gguf.header import GgufHeader, MetadataValue, SkippedValue
from the_edge_agent.gguf.known_keys import check_known_keys
from the_edge_agent.gguf.metadata import KeyPlace, decode_text, parse_array, parse_metadata
from the_edge_agent.gguf.tensors import parse_tensors
from the_edge_agent.gguf.types import ValueType

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
ALIGNMENT_KEY = "general.alignment"


def read_header(path: Path | str) -> GgufHeader:
    """Read and check the header of a GGUF file.

    Raises GgufInvalid, with the byte offset, where anything is malformed; OSError where the file can't be opened.
    """
    with open_source(Path(path)) as source:
        return parse_header(source)


def parse_header_bytes(data: bytes, *, size_bytes: int | None = None, name: str = "<bytes>") -> GgufHeader:
    """The same for a file's beginning in memory; ``size_bytes`` is the whole file's length where it is longer."""
    return parse_header(MemorySource(data, name=name, size_bytes=size_bytes))


def load_value(path: Path | str, value: SkippedValue) -> tuple[int | float | bool | str, ...] | str:
    """Read a value that the header only gives the place of: an array as a tuple, a long string as text.

    Strings are decoded as UTF-8 with replacement. Raises GgufInvalid where the file has changed since.
    """
    with open_source(Path(path)) as source:
        cursor = Cursor(source, limit=value.offset + value.size_bytes)
        cursor.offset = value.offset
        if value.type is ValueType.STRING and value.count == 1:
            return decode_text(cursor.take(value.size_bytes, "a string"))
        return parse_array(cursor, value.type, value.count, "an array")


def parse_header(source: ByteSource) -> GgufHeader:
    """Check and parse ``source``; see ``read_header``."""
    cursor = Cursor(source, limit=limits.HEADER_BYTES)
    version = _preamble(cursor)
    tensor_count = _count(cursor, "the number of tensors", limits.TENSORS, smallest_bytes=8 + 4 + 4 + 8)
    key_count = _count(cursor, "the number of keys", limits.KEYS, smallest_bytes=8 + 1 + 4 + 1)
    metadata, places = parse_metadata(cursor, key_count)
    check_known_keys(cursor, places)
    alignment = _alignment(cursor, metadata, places)
    tensors, data_offset = parse_tensors(cursor, tensor_count, alignment)
    return GgufHeader(
        version=version,
        metadata=MappingProxyType(metadata),
        tensors=tensors,
        alignment=alignment,
        data_offset=data_offset,
        size_bytes=source.size_bytes,
    )


def _preamble(cursor: Cursor) -> int:
    magic = cursor.take(4, "the magic") if cursor.remaining >= 4 else b""
    if magic != MAGIC:
        cursor.fail(f"it is no GGUF file: it begins with {magic!r} and not with {MAGIC!r}", offset=0)
    version = cursor.u32("the version")
    if version & 0xFFFF == 0:
        cursor.fail("the file is big-endian, or its version is 0", offset=4)
    if version not in VERSIONS:
        cursor.fail(f"GGUF version {version} is not one of {VERSIONS}", offset=4)
    return version


def _count(cursor: Cursor, what: str, most: int, *, smallest_bytes: int) -> int:
    count = cursor.u64(what)
    if count > most:
        cursor.fail(f"{what} is {count}, more than the {most} that are believed", offset=cursor.offset - 8)
    if count * smallest_bytes > cursor.remaining:
        cursor.fail(f"{what} is {count}, more than the file has room for", offset=cursor.offset - 8)
    return count


def _alignment(cursor: Cursor, metadata: dict[str, MetadataValue], places: dict[str, KeyPlace]) -> int:
    alignment = metadata.get(ALIGNMENT_KEY, DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        cursor.fail(
            f"the alignment is {alignment}, which is no power of two", offset=places[ALIGNMENT_KEY].offset
        )
    return alignment
