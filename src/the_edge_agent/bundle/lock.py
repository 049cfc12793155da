"""The lock of a bundle: every input by digest, as one JSON. It lies in the bundle and beside it.

Building again with ``--locked`` takes these inputs or fails; the same inputs and tools give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from the_edge_agent.bundle.debs import Deb
from the_edge_agent.errors import BundleFailed

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file that went in: what it is called, where it lies in the bundle, its size and digest."""

    name: str
    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LockedModel:
    """The model: its name in the catalogue, its files, its licence."""

    name: str
    license: str
    license_url: str
    files: tuple[LockedFile, ...]


@dataclass(frozen=True, slots=True)
class BundleLock:
    """Every input of a bundle. ``agents[0]`` is the one that runs where no file is named."""

    name: str
    version: str
    arch: str
    line: str
    epoch_s: int
    agents: tuple[LockedFile, ...]
    model: LockedModel | None
    debs: tuple[Deb, ...]
    wheels: tuple[tuple[str, str], ...]
    llama: Mapping[str, str]
    tools: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The document."""
        model = self.model
        return {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "arch": self.arch,
            "line": self.line,
            "source_date_epoch": self.epoch_s,
            "agents": [_file_json(agent) for agent in self.agents],
            "model": None
            if model is None
            else {
                "name": model.name,
                "license": model.license,
                "license_url": model.license_url,
                "files": [_file_json(file) for file in model.files],
            },
            "debs": [{"name": deb.name, "version": deb.version, "sha256": deb.sha256} for deb in self.debs],
            "wheels": [{"file": file, "sha256": sha256} for file, sha256 in self.wheels],
            "llama": dict(self.llama),
            "tools": dict(self.tools),
        }

    def dump(self) -> str:
        """The document's text."""
        return json.dumps(self.to_json(), indent=1, sort_keys=True) + "\n"


def load_lock(path: Path) -> BundleLock:
    """Read a lock. Raises BundleFailed where it isn't one."""
    try:
        return parse_lock(json.loads(path.read_bytes()))
    except OSError as error:
        raise BundleFailed(f"the lock can't be read: {error.strerror}", place=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleFailed(
            f"it is no bundle's lock: {error}", place=str(path), fix="name the .lock.json beside an artifact"
        ) from error


def parse_lock(document: Mapping[str, Any]) -> BundleLock:
    """A lock from its document. Raises ValueError, KeyError or TypeError where it isn't one."""
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r} and not {SCHEMA}")
    model = cast("dict[str, Any] | None", document["model"])
    return BundleLock(
        name=str(document["name"]),
        version=str(document["version"]),
        arch=str(document["arch"]),
        line=str(document["line"]),
        epoch_s=int(document["source_date_epoch"]),
        agents=tuple(_file(entry) for entry in document["agents"]),
        model=None
        if model is None
        else LockedModel(
            model["name"],
            model["license"],
            model["license_url"],
            tuple(_file(each) for each in model["files"]),
        ),
        debs=tuple(Deb(entry["name"], entry["version"], entry["sha256"]) for entry in document["debs"]),
        wheels=tuple((entry["file"], entry["sha256"]) for entry in document["wheels"]),
        llama=dict(document["llama"]),
        tools=dict(document["tools"]),
    )


def _file(entry: Mapping[str, Any]) -> LockedFile:
    return LockedFile(str(entry["name"]), str(entry["path"]), int(entry["size"]), str(entry["sha256"]))


def _file_json(file: LockedFile) -> dict[str, Any]:
    return {"name": file.name, "path": file.path, "size": file.size_bytes, "sha256": file.sha256}
