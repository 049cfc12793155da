"""What lies where in an artifact: stretches of bytes with a name, found when it is built and kept in its chunk manifest.

A model lies in the file system uncompressed and in one piece, so it has a place of its own. (One with long runs of zeros
hasn't: the file system leaves those out. Its chunks are then named by their bytes alone.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from the_edge_agent.bundle.elf import end_of
from the_edge_agent.bundle.lock import BundleLock

MAGIC = b"GGUF"
KEY = "places"
_STEP_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of an artifact, in bytes, and what it is."""

    name: str
    offset: int
    size_bytes: int

    def touches(self, start: int, end: int) -> bool:
        """Whether it shares a byte with that range."""
        return self.offset < end and start < self.offset + self.size_bytes


def find_places(artifact: Path, lock: BundleLock) -> tuple[Place, ...]:
    """The runtime's place and the models'; a model counts only where its digest proves it."""
    start = end_of(artifact)
    places = [Place("the runtime", 0, start)]
    for file in lock.model.files if lock.model else ():
        at = _find(artifact, start, file.size_bytes, file.sha256)
        if at >= 0:
            places.append(Place(f"the model {file.name}", at, file.size_bytes))
            start = at + file.size_bytes
    return tuple(places)


def places_to_json(places: Iterable[Place]) -> list[dict[str, Any]]:
    """As they stand in the chunk manifest."""
    return [{"name": place.name, "offset": place.offset, "size": place.size_bytes} for place in places]


def parse_places(document: Mapping[str, Any]) -> tuple[Place, ...]:
    """The places in a chunk manifest; what isn't sound is left out, for they only serve to name things."""
    entries = document.get(KEY)
    found: list[Place] = []
    for entry in cast("list[Any]", entries) if isinstance(entries, list) else []:
        try:
            found.append(Place(str(entry["name"]), int(entry["offset"]), int(entry["size"])))
        except (TypeError, KeyError, ValueError):
            continue
    return tuple(found)


def _find(path: Path, start: int, size_bytes: int, sha256: str) -> int:
    """Where a file of that size and digest lies behind ``start``; -1 where it doesn't lie in one piece."""
    with path.open("rb") as file:
        at = start
        while True:
            file.seek(at)
            block = file.read(_STEP_BYTES + len(MAGIC) - 1)
            found = block.find(MAGIC)
            while 0 <= found < _STEP_BYTES:
                if _is_digest(path, at + found, size_bytes, sha256):
                    return at + found
                found = block.find(MAGIC, found + 1)
            if len(block) < _STEP_BYTES:
                return -1
            at += _STEP_BYTES


def _is_digest(path: Path, offset: int, size_bytes: int, sha256: str) -> bool:
    digest = hashlib.sha256()
    left = size_bytes
    with path.open("rb") as file:
        file.seek(offset)
        while left and (piece := file.read(min(left, _STEP_BYTES))):
            digest.update(piece)
            left -= len(piece)
    return left == 0 and digest.hexdigest() == sha256
