"""What stands beside an artifact: its lock, its bill of materials, its chunk manifest, and the line in SHA256SUMS."""

from __future__ import annotations

import json
from pathlib import Path

from the_edge_agent.bundle.checksums import digest_of, write_sums
from the_edge_agent.bundle.lock import BundleLock
from the_edge_agent.bundle.places import KEY, find_places, places_to_json
from the_edge_agent.bundle.sbom import build_sbom
from the_edge_agent.store.manifest import build_manifest

LOCK_ENDING = ".lock.json"
SBOM_ENDING = ".cdx.json"
MANIFEST_ENDING = ".chunks.json"


def write_papers(artifact: Path, lock: BundleLock) -> tuple[Path, ...]:
    """Write lock, SBOM and chunk manifest beside a file, and list all four in SHA256SUMS."""
    manifest = build_manifest(artifact, model=lock.name, version=lock.version)
    places = find_places(artifact, lock)
    papers = {
        LOCK_ENDING: lock.dump(),
        SBOM_ENDING: build_sbom(lock, manifest.sha256),
        MANIFEST_ENDING: json.dumps({**manifest.to_json(), KEY: places_to_json(places)}, indent=1) + "\n",
    }
    written: list[Path] = []
    for ending, text in papers.items():
        path = beside(artifact, ending)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    digests = {artifact.name: manifest.sha256, **{path.name: digest_of(path) for path in written}}
    return (*written, write_sums(artifact.parent, digests))


def beside(artifact: Path, ending: str) -> Path:
    """The paper of that kind that belongs to an artifact."""
    return artifact.with_name(artifact.name + ending)
