"""The chunk manifest: one JSON that says what every piece of a model must be.

The same document checks a file of the store, the model inside an AppImage and the chunks a browser fetches. Knows how to
write, read and check it; knows nothing of the network.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from the_edge_agent.errors import DigestMismatch, StoreError
from the_edge_agent.store.chunks import DEFAULT_CHUNK_BYTES, Chunk, cut
from the_edge_agent.store.sha256 import BLOCK_BYTES

SCHEMA = 1
LONGEST_MANIFEST_BYTES = 64 * 1024 * 1024
MOST_CHUNKS = 1_000_000

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ChunkManifest:
    """A model's name and version, its size and digest, and its chunks in order, each with a digest."""

    model: str
    version: str
    size_bytes: int
    sha256: str
    chunk_bytes: int
    chunks: tuple[Chunk, ...]

    def to_json(self) -> dict[str, Any]:
        """The document as it is published."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "version": self.version,
            "size": self.size_bytes,
            "sha256": self.sha256,
            "chunk_size": self.chunk_bytes,
            "chunks": [
                {"offset": chunk.offset, "size": chunk.size_bytes, "sha256": chunk.sha256}
                for chunk in self.chunks
            ],
        }


def build_manifest(
    path: Path, *, model: str, version: str = "1", chunk_bytes: int = DEFAULT_CHUNK_BYTES
) -> ChunkManifest:
    """Read a file twice over (whole and by chunks, side by side) and write down its digests."""
    size = path.stat().st_size
    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(digest_of_file, path)
        chunks = tuple(
            Chunk(chunk.index, chunk.offset, chunk.size_bytes, digest_of_range(path, chunk))
            for chunk in cut(size, chunk_bytes)
        )
        return ChunkManifest(model, version, size, whole.result(), chunk_bytes, chunks)


def load_manifest(path: Path) -> ChunkManifest:
    """Read a manifest file. Raises StoreError where it isn't one."""
    if path.stat().st_size > LONGEST_MANIFEST_BYTES:
        raise StoreError("it is too long to be a chunk manifest", place=str(path))
    return parse_manifest(path.read_bytes(), place=str(path))


def parse_manifest(data: bytes, *, place: str) -> ChunkManifest:
    """Read and check a manifest: chunks in order, without gap or overlap, up to the size.

    Raises StoreError naming what is off.
    """

    def refuse(what: str) -> StoreError:
        return StoreError(what, place=place, fix="fetch the chunk manifest again")

    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        raise refuse("it is no JSON document") from None
    if not isinstance(raw, dict):
        raise refuse("it is no JSON object")
    document = cast("dict[str, Any]", raw)
    if document.get("schema") != SCHEMA:
        raise refuse(f"its schema is {document.get('schema')!r} and not {SCHEMA}")
    size, chunk_bytes = _count(document.get("size")), _count(document.get("chunk_size"))
    entries = document.get("chunks")
    if size is None or chunk_bytes is None or not isinstance(entries, list):
        raise refuse("size, chunk_size and chunks must be there")
    if chunk_bytes < BLOCK_BYTES or chunk_bytes % BLOCK_BYTES:
        raise refuse(f"chunk_size is {chunk_bytes}, which is no multiple of {BLOCK_BYTES}")
    if not _is_digest(document.get("sha256")):
        raise refuse("sha256 is no digest")
    return ChunkManifest(
        model=str(document.get("model", "")),
        version=str(document.get("version", "")),
        size_bytes=size,
        sha256=document["sha256"],
        chunk_bytes=chunk_bytes,
        chunks=_parse_chunks(cast("list[Any]", entries), size, chunk_bytes, refuse),
    )


def _parse_chunks(
    entries: list[Any], size_bytes: int, chunk_bytes: int, refuse: Callable[[str], StoreError]
) -> tuple[Chunk, ...]:
    expected = -(-size_bytes // chunk_bytes)
    if expected > MOST_CHUNKS or len(entries) != expected:
        raise refuse(f"it lists {len(entries)} chunks, and {expected} make {size_bytes} bytes")
    chunks: list[Chunk] = []
    for chunk, entry in zip(cut(size_bytes, chunk_bytes), entries, strict=True):
        found = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        if found.get("offset") != chunk.offset or found.get("size") != chunk.size_bytes:
            raise refuse(f"chunk {chunk.index} doesn't lie where the one before it ends")
        if not _is_digest(found.get("sha256")):
            raise refuse(f"the sha256 of chunk {chunk.index} is no digest")
        chunks.append(Chunk(chunk.index, chunk.offset, chunk.size_bytes, found["sha256"]))
    return tuple(chunks)


def bad_chunks(path: Path, manifest: ChunkManifest) -> tuple[Chunk, ...]:
    """The chunks of ``path`` that aren't what the manifest says (all that lie beyond a file cut short)."""
    with ThreadPoolExecutor(2) as pool:
        digests = pool.map(partial(digest_of_range, path), manifest.chunks)
        return tuple(
            chunk for chunk, digest in zip(manifest.chunks, digests, strict=True) if digest != chunk.sha256
        )


def check_chunk(data: bytes, chunk: Chunk, *, place: str) -> None:
    """Raises DigestMismatch where ``data`` isn't that chunk."""
    if len(data) != chunk.size_bytes or hashlib.sha256(data).hexdigest() != chunk.sha256:
        raise DigestMismatch(f"chunk {chunk.index} differs from the manifest", place=place)


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_range(path: Path, chunk: Chunk) -> str:
    """SHA-256 of a part of a file (of what is there of it)."""
    digest = hashlib.sha256()
    left = chunk.size_bytes
    with path.open("rb", buffering=0) as file:
        file.seek(chunk.offset)
        while left and (piece := file.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def _count(value: object) -> int | None:
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 50
    return cast("int", value) if sound else None


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
