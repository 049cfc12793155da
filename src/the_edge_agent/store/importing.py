"""Taking a file of this machine into the store: copied while it is hashed, and visible only once it is whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from the_edge_agent.errors import ModelNotFound
from the_edge_agent.gguf import read_header
from the_edge_agent.store.chunks import DEFAULT_CHUNK_BYTES
from the_edge_agent.store.disk import disk_errors, disk_full
from the_edge_agent.store.hub_cache import LOCAL_ORGANISATION
from the_edge_agent.store.paths import checked_part
from the_edge_agent.store.places import StorePlaces
from the_edge_agent.store.pull import PulledFile, PulledModel, move_durably
from the_edge_agent.store.records import PullRecord, save_record
from the_edge_agent.store.sha256 import start_sha256
from the_edge_agent.store.shards import shard_names

_READ_BYTES = 1 << 20


def import_model(path: Path, places: StorePlaces, *, name: str = "") -> PulledModel:
    """Copy a GGUF file, with all its shards, into the store under ``name`` (default: its file name).

    Raises GgufInvalid, ModelNotFound for a missing part, DiskFull, PathRefused for a name that can't be one.
    """
    name = checked_part(name or path.name.removesuffix(".gguf"), place="import")
    parts = [path.with_name(part) for part in shard_names(path.name)]
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise ModelNotFound(
            f"{', '.join(missing)} is not there", place=str(path.parent), fix="check the path"
        )
    headers = [read_header(part) for part in parts]
    with disk_errors(places.store_dir):
        files = tuple(_import_file(part, f"{LOCAL_ORGANISATION}/{name}", places) for part in parts)
    return PulledModel(name, files[0].path, files, headers[0], headers[0].license)


def _import_file(path: Path, repo: str, places: StorePlaces) -> PulledFile:
    file = checked_part(path.name, place="import")
    folder = places.own.ensure_inside(places.own.repo_dir(repo) / "blobs")
    size = path.stat().st_size
    free = shutil.disk_usage(folder).free
    if size > free:
        raise disk_full(size - free, str(folder))
    incoming = folder / f".{os.getpid()}.incoming"
    running, chain = start_sha256(), [start_sha256().state() or b""]
    try:
        with path.open("rb", buffering=0) as source, incoming.open("wb", buffering=0) as target:
            done = 0
            while piece := source.read(_READ_BYTES):
                target.write(piece)
                running.update(piece)
                done += len(piece)
                if done % DEFAULT_CHUNK_BYTES == 0 and done < size:
                    chain.append(running.state() or b"")
        sha256 = running.hexdigest()
        blob = places.own.blob(repo, sha256)
        commit = sha256[:40]
        save_record(
            places.store_dir,
            PullRecord(
                repo,
                file,
                "main",
                commit,
                path.absolute().as_uri(),
                size,
                sha256,
                chain=b"".join(chain).hex(),
            ),
        )
        move_durably(incoming, blob)
    finally:
        incoming.unlink(missing_ok=True)
    linked = places.own.link(repo, file, sha256=sha256, commit=commit)
    return PulledFile(file, linked, size, sha256, fetched=True)
