"""Is an artifact still what was built? By its chunk manifest, every byte; what differs is named by place and content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from the_edge_agent.bundle.places import Place, parse_places
from the_edge_agent.bundle.release import MANIFEST_ENDING, beside
from the_edge_agent.errors import BundleFailed
from the_edge_agent.store.chunks import Chunk
from the_edge_agent.store.manifest import load_manifest
from the_edge_agent.store.verify import verify_manifest


@dataclass(frozen=True, slots=True)
class BadPlace:
    """A chunk of an artifact that isn't what was built, and what lies there."""

    chunk: Chunk
    what: str

    def __str__(self) -> str:
        return f"chunk {self.chunk.index} (bytes {self.chunk.offset:,} to {self.chunk.end - 1:,}), in {self.what}"


@dataclass(frozen=True, slots=True)
class ArtifactCheck:
    """What became of a check; ``reason`` is empty where the artifact is sound."""

    path: Path
    sha256: str
    reason: str
    bad: tuple[BadPlace, ...]

    @property
    def sound(self) -> bool:
        """Whether every byte is right."""
        return not self.reason


def check_artifact(path: Path, manifest_path: Path | None = None) -> ArtifactCheck:
    """Check a file against the chunk manifest beside it, or another. Raises BundleFailed, StoreError."""
    manifest_path = manifest_path or beside(path, MANIFEST_ENDING)
    for file in (path, manifest_path):
        if not file.is_file():
            raise BundleFailed(
                "there is no such file", place=str(file), fix="fetch it from where the artifact is"
            )
    manifest = load_manifest(manifest_path)
    places = parse_places(json.loads(manifest_path.read_bytes()))
    found = verify_manifest(path, manifest)
    reason = found.reason
    if found.size_bytes != manifest.size_bytes:
        reason = f"it is {found.size_bytes:,} bytes long, and {manifest.size_bytes:,} are right"
    bad = tuple(BadPlace(chunk, _what(chunk, places)) for chunk in found.bad)
    return ArtifactCheck(path, manifest.sha256, reason, bad)


def _what(chunk: Chunk, places: tuple[Place, ...]) -> str:
    """Everything that a chunk touches."""
    touched = [place for place in places if place.touches(chunk.offset, chunk.end)]
    names = [place.name for place in touched]
    covered = sum(
        min(chunk.end, place.offset + place.size_bytes) - max(chunk.offset, place.offset) for place in touched
    )
    if covered < chunk.size_bytes:
        names.append("the other files")
    return " or ".join(names)
