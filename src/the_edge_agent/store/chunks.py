"""How a file is cut into pieces that are fetched, checked and repaired alone. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

#: A multiple of SHA-256's block, so that a chain has a state at every border.
DEFAULT_CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes ``offset`` to ``offset + size_bytes`` of a file, with their digest where a manifest gives it."""

    index: int
    offset: int
    size_bytes: int
    sha256: str | None = None

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size_bytes


def cut(size_bytes: int, chunk_bytes: int = DEFAULT_CHUNK_BYTES) -> tuple[Chunk, ...]:
    """Chunks of ``chunk_bytes``, the last one shorter."""
    return tuple(
        Chunk(index, offset, min(chunk_bytes, size_bytes - offset))
        for index, offset in enumerate(range(0, size_bytes, chunk_bytes))
    )
