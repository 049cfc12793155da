"""One file from an address to a checked file on disk, under a lock that all processes share.

Finds out what the server has, goes on where an earlier run stopped, makes sure of the disk, and lets nothing pass whose
size or digest isn't the promised one. Knows nothing of models, names or snapshots.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from the_edge_agent.errors import DigestMismatch, DownloadFailed
from the_edge_agent.store.chunks import DEFAULT_CHUNK_BYTES
from the_edge_agent.store.disk import disk_errors, disk_full
from the_edge_agent.store.http_answer import FileChanged, RangeIgnored, RemoteFacts
from the_edge_agent.store.http_options import HttpOptions
from the_edge_agent.store.http_source import HttpSource
from the_edge_agent.store.lock import hold_lock
from the_edge_agent.store.manifest import ChunkManifest
from the_edge_agent.store.partial import Identity, PartialDownload, boot_id, fetched_fraction
from the_edge_agent.store.patience import ask_patiently
from the_edge_agent.store.progress import OnProgress, Progress, ignore_progress
from the_edge_agent.store.transfer import Transfer, TransferOptions

#: How often a file may become another one, or a server forget what a range is, while it is fetched.
_RESTARTS = 5
#: Room that is left on the disk for everybody else.
_RESERVE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What is wanted: an address, and what is known of the bytes beforehand (None: take the server's word)."""

    url: str
    file: str
    size_bytes: int | None = None
    sha256: str | None = None
    manifest: ChunkManifest | None = None
    """Checks every chunk on its own, so that a bad one is fetched again alone."""


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """How to fetch; the defaults suit the internet."""

    http: HttpOptions = field(default_factory=HttpOptions)
    transfer: TransferOptions = field(default_factory=TransferOptions)
    chunk_bytes: int = DEFAULT_CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """A complete file that has the right digest. ``chain`` are the states between chunks (see ``sha256``)."""

    path: Path
    size_bytes: int
    sha256: str
    chunk_bytes: int
    chain: tuple[bytes, ...]
    facts: RemoteFacts


@contextmanager
def download(
    request: DownloadRequest,
    folder: Path,
    options: DownloadOptions,
    *,
    facts: RemoteFacts | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Generator[DownloadedFile]:
    """Fetch into ``folder`` (the caller holds its lock); yields the finished file, which the body moves away.

    After the body the folder is gone. Raises DownloadFailed, DigestMismatch or DiskFull; whatever happens before, all
    finished chunks stay for the next call.
    """
    source = HttpSource(request.url, options.http, connections=options.transfer.connections)
    try:
        fetched, partial = _fetch(_Job(request, folder, options, source, on_progress), facts)
    finally:
        source.close()
    yield fetched
    partial.discard()


@contextmanager
def hold_download(lock_path: Path, folder: Path, file: str, on_progress: OnProgress) -> Generator[bool]:
    """Hold the lock of one file's download, showing the other holder's progress meanwhile; yields whether it waited."""
    pause = threading.Event()
    shown = [0]

    def show_the_other() -> None:
        done, total = fetched_fraction(folder) or (0, 0)
        shown[0] = max(shown[0], done)
        on_progress(Progress(file, "waiting", shown[0], total))
        pause.wait(0.05)

    with hold_lock(lock_path, while_waiting=show_the_other) as waited:
        yield waited


def probe(source: HttpSource, options: DownloadOptions) -> RemoteFacts:
    """Ask the server what the file is, patiently but not for long. Raises DownloadFailed."""
    return ask_patiently(source.probe, source.url, options.transfer.backoff)


@dataclass(frozen=True, slots=True)
class _Job:
    request: DownloadRequest
    folder: Path
    options: DownloadOptions
    source: HttpSource
    on_progress: OnProgress


def _fetch(job: _Job, facts: RemoteFacts | None) -> tuple[DownloadedFile, PartialDownload]:
    for _ in range(_RESTARTS):
        facts = probe(job.source, job.options) if facts is None else facts
        try:
            return _fetch_once(job, facts)
        except RangeIgnored:
            facts = replace(facts, takes_ranges=False)
        except FileChanged:
            facts = None
    raise DownloadFailed(
        "the file on the server becomes another one while it is fetched",
        place=job.request.url,
        fix="try again later",
    )


def _fetch_once(job: _Job, facts: RemoteFacts) -> tuple[DownloadedFile, PartialDownload]:
    request = job.request
    check_promise(request, facts)
    chunk_bytes = request.manifest.chunk_bytes if request.manifest else job.options.chunk_bytes
    identity = Identity(
        source=request.sha256 or request.url,
        etag=facts.sha256 or facts.etag,
        size_bytes=facts.size_bytes,
        chunk_bytes=chunk_bytes,
        boot_id=boot_id(),
    )
    with disk_errors(job.folder):
        partial = PartialDownload.open(job.folder, identity)
        try:
            check_disk(partial)
            digests = (
                tuple(chunk.sha256 or "" for chunk in request.manifest.chunks) if request.manifest else None
            )
            transfer = Transfer(job.source, facts, partial, job.options.transfer, digests=digests)
            sha256 = transfer.run(request.file, job.on_progress)
        finally:
            partial.close()
    _check_digest(job, facts, partial, sha256)
    job.on_progress(Progress(request.file, "done", facts.size_bytes, facts.size_bytes, eta_s=0.0))
    fetched = DownloadedFile(
        path=partial.data_path,
        size_bytes=facts.size_bytes,
        sha256=sha256,
        chunk_bytes=chunk_bytes,
        chain=tuple(partial.states[: len(partial.chunks)]),
        facts=facts,
    )
    return fetched, partial


def _check_digest(job: _Job, facts: RemoteFacts, partial: PartialDownload, sha256: str) -> None:
    manifest = job.request.manifest
    promised = job.request.sha256 or facts.sha256 or (manifest.sha256 if manifest else "")
    if promised and sha256 != promised:
        partial.discard()
        raise DigestMismatch(
            f"the bytes that came have the SHA-256 {sha256}, and {promised} was promised",
            place=job.request.url,
            fix="what came was thrown away; fetch it again, or from another source",
        )


def check_promise(request: DownloadRequest, facts: RemoteFacts) -> None:
    """Refuse, before a byte is fetched, what can't become the promised file. Raises DigestMismatch, DownloadFailed."""
    if request.sha256 and facts.sha256 and request.sha256 != facts.sha256:
        raise DigestMismatch(
            f"the hub offers the SHA-256 {facts.sha256}, and {request.sha256} was promised",
            place=request.url,
            fix="the file was replaced on the hub; --accept-new takes the new one",
        )
    promised = request.manifest.size_bytes if request.manifest else request.size_bytes
    if promised is not None and promised != facts.size_bytes:
        raise DownloadFailed(
            f"the server offers {facts.size_bytes} bytes, and {promised} were promised",
            place=request.url,
            fix="use another source",
        )


def check_disk(partial: PartialDownload, free_bytes: int | None = None) -> None:
    """Refuse to begin what the disk can't hold. Raises DiskFull with the bytes that are missing."""
    free = shutil.disk_usage(partial.folder).free if free_bytes is None else free_bytes
    written = partial.data_path.stat().st_blocks * 512
    needed = max(
        partial.identity.size_bytes - max(partial.fetched_bytes, min(written, partial.identity.size_bytes)), 0
    )
    missing = needed + _RESERVE_BYTES - free if needed else 0
    if missing > 0:
        raise disk_full(missing, str(partial.folder))
