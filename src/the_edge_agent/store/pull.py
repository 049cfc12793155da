"""Bringing a model into the store: each of its files once, and the moment it becomes visible.

A file appears under its name only once its digest and its header are right; until then it lies in ``partial/`` and
nothing finds it. Two that pull one model share one download. Knows how the store is laid out, leaves bytes
and servers to ``download``, and which files a model is to ``wanted``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from the_edge_agent.errors import EdgeAgentError, UsageError
from the_edge_agent.gguf import GgufHeader, read_header
from the_edge_agent.store.catalogue import CatalogueEntry, find_entry, unknown_name
from the_edge_agent.store.disk import disk_errors
from the_edge_agent.store.download import DownloadedFile, DownloadRequest, download, hold_download, probe
from the_edge_agent.store.http_source import HttpSource
from the_edge_agent.store.hub_cache import HubCache
from the_edge_agent.store.locate import embedded_model_path
from the_edge_agent.store.places import StorePlaces
from the_edge_agent.store.progress import OnProgress, ignore_progress
from the_edge_agent.store.pull_options import PullOptions, refuse_offline
from the_edge_agent.store.records import PullRecord, load_record, save_record
from the_edge_agent.store.refs import FileRef, NameRef, parse_ref
from the_edge_agent.store.wanted import WantedFile, wanted_files


@dataclass(frozen=True, slots=True)
class PulledFile:
    """A file that is there. ``fetched`` is False where it was there before."""

    file: str
    path: Path
    size_bytes: int
    sha256: str
    fetched: bool


@dataclass(frozen=True, slots=True)
class PulledModel:
    """A model that is whole. ``path`` is what to load."""

    name: str
    path: Path
    files: tuple[PulledFile, ...]
    header: GgufHeader
    license: str
    license_url: str | None = None


def pull_model(
    text: str,
    places: StorePlaces,
    options: PullOptions | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    on_license: Callable[[str, str | None], None] | None = None,
) -> PulledModel:
    """Have the model that ``text`` names, fetching what is missing.

    ``on_license`` is told the licence, where it is known, before the first byte comes.

    Raises:
        ModelNotFound: nobody knows the name, or the repository has no such file.
        DownloadFailed, DigestMismatch, DiskFull: see ``download``; what was finished stays for the next call.
        GgufInvalid: what came is no sound model; it was thrown away.
        PathRefused: a name leads out of the store.
        UsageError: ``text`` is no reference, or names a file of this machine.
    """
    options = options or PullOptions()
    ref = parse_ref(text)
    if isinstance(ref, FileRef):
        raise UsageError(
            f"{text!r} is a file of this machine", fix=f"`tea models import {text}` copies it in"
        )
    entry = find_entry(ref.name) if isinstance(ref, NameRef) else None
    if entry is not None and entry.embedded:
        return _embedded(entry)
    if isinstance(ref, NameRef) and entry is None:
        raise unknown_name(ref.name)
    wanted, license_name = wanted_files(ref, entry, options)
    if len(wanted) > 1 and (options.sha256 or options.manifest):
        raise UsageError(
            f"{text!r} is {len(wanted)} files, and one digest or manifest can't speak for all",
            fix="leave it out",
        )
    if on_license is not None and license_name:
        on_license(license_name, entry.license_url if entry else None)
    with disk_errors(places.store_dir):
        files = tuple(_have(file, places, options, license_name, on_progress) for file in wanted)
    header = read_header(files[0].path)
    return PulledModel(
        name=entry.name if entry else options.name or str(ref),
        path=files[0].path,
        files=files,
        header=header,
        license=license_name or header.license,
        license_url=entry.license_url if entry else None,
    )


def _embedded(entry: CatalogueEntry) -> PulledModel:
    path = embedded_model_path()
    return PulledModel(entry.name, path, (), read_header(path), entry.license, entry.license_url)


def _have(
    wanted: WantedFile,
    places: StorePlaces,
    options: PullOptions,
    license_name: str,
    on_progress: OnProgress,
) -> PulledFile:
    """The file, from disk where it is whole, else fetched under its lock."""
    present = None if options.accept_new else _present(wanted, places)
    if present is not None:
        return present
    refuse_offline(options, wanted.url)
    partial_dir = places.checked_partial_dir(wanted.repo, wanted.file, wanted.revision)
    lock_path = places.lock_path(wanted.repo, wanted.file, wanted.revision)
    with hold_download(lock_path, partial_dir, wanted.file, on_progress) as waited:
        present = _present(wanted, places) if waited or not options.accept_new else None
        if present is not None:  # another process brought it while we waited
            return replace(present, fetched=waited)
        return _fetch(wanted, places, options, license_name, on_progress)


def _present(wanted: WantedFile, places: StorePlaces) -> PulledFile | None:
    record = load_record(places.store_dir, wanted.repo, wanted.file, wanted.revision)
    for cache in (places.own, places.shared):
        path = cache.find(wanted.repo, wanted.file, wanted.revision)
        if path is None:
            continue
        size = path.stat().st_size
        sha256 = record.sha256 if record else path.resolve().name
        if record and record.size_bytes != size:
            continue
        if wanted.sha256 and wanted.sha256 != sha256:
            continue
        return PulledFile(wanted.file, path, size, sha256, fetched=False)
    return None


def _fetch(
    wanted: WantedFile,
    places: StorePlaces,
    options: PullOptions,
    license_name: str,
    on_progress: OnProgress,
) -> PulledFile:
    cache = places.shared if options.into_hf_cache else places.own
    record = load_record(places.store_dir, wanted.repo, wanted.file, wanted.revision)
    promised = wanted.sha256 or (record.sha256 if record and not options.accept_new else None)
    request = DownloadRequest(wanted.url, wanted.file, wanted.size_bytes, promised, options.manifest)
    folder = places.partial_dir(wanted.repo, wanted.file, wanted.revision)
    source = HttpSource(wanted.url, options.download.http, connections=1)
    try:
        facts = probe(source, options.download)
    finally:
        source.close()
    known = promised or facts.sha256
    blob = cache.blob(wanted.repo, known) if known else None
    if (
        record
        and blob
        and blob.is_file()
        and blob.stat().st_size == record.size_bytes
        and record.sha256 == known
    ):
        # An earlier pull was killed between the blob and its name.
        shutil.rmtree(folder, ignore_errors=True)
        path = cache.link(
            wanted.repo, wanted.file, sha256=known, commit=record.commit, revision=wanted.revision
        )
        return PulledFile(wanted.file, path, record.size_bytes, record.sha256, fetched=False)
    with download(request, folder, options.download, facts=facts, on_progress=on_progress) as fetched:
        return _accept(wanted, fetched, cache, places.store_dir, license_name)


def _accept(
    wanted: WantedFile, fetched: DownloadedFile, cache: HubCache, store_dir: Path, license_name: str
) -> PulledFile:
    """Check the header, then let the file appear: record, blob, name, in this order."""
    if wanted.file.lower().endswith(".gguf"):
        check_model_file(fetched.path, wanted.url)
    commit = fetched.facts.commit or fetched.sha256[:40]
    blob = cache.blob(wanted.repo, fetched.sha256)
    cache.ensure_inside(blob.parent)
    save_record(
        store_dir,
        PullRecord(
            repo=wanted.repo,
            file=wanted.file,
            revision=wanted.revision,
            commit=commit,
            url=wanted.url,
            size_bytes=fetched.size_bytes,
            sha256=fetched.sha256,
            license=license_name,
            chunk_bytes=fetched.chunk_bytes,
            chain=b"".join(fetched.chain).hex(),
        ),
    )
    move_durably(fetched.path, blob)
    path = cache.link(
        wanted.repo, wanted.file, sha256=fetched.sha256, commit=commit, revision=wanted.revision
    )
    return PulledFile(wanted.file, path, fetched.size_bytes, fetched.sha256, fetched=True)


def check_model_file(path: Path, source: str) -> GgufHeader:
    """Read the header of what came from ``source``; what isn't sound is deleted and GgufInvalid names the source."""
    try:
        return read_header(path)
    except EdgeAgentError as error:
        shutil.rmtree(path.parent, ignore_errors=True)
        error.place = source
        raise


def move_durably(source: Path, target: Path) -> None:
    """Rename, after the bytes have reached the disk; across file systems, copy beside the target first."""
    _sync(source)
    try:
        source.replace(target)
    except OSError:
        beside = target.with_name(f".{target.name}.{os.getpid()}.new")
        shutil.copyfile(source, beside)
        _sync(beside)
        beside.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
