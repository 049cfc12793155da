"""Is a file still what it was when it was accepted, and if not, which pieces aren't. Repair fetches those alone.

With a chain (see ``sha256``) pieces are checked side by side on all cores and together prove the file's digest; with a
chunk manifest likewise; with a digest alone the file is read through. Knows nothing of names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from the_edge_agent.errors import DigestMismatch, DownloadFailed
from the_edge_agent.gguf.positioned import PRIVATE_BINARY, read_into
from the_edge_agent.store.chunks import Chunk, cut
from the_edge_agent.store.download import DownloadOptions
from the_edge_agent.store.http_answer import FileChanged, RangeIgnored, TransientFault
from the_edge_agent.store.http_source import HttpSource
from the_edge_agent.store.manifest import ChunkManifest, bad_chunks, check_chunk, digest_of_file
from the_edge_agent.store.patience import ask_patiently
from the_edge_agent.store.records import PullRecord
from the_edge_agent.store.sha256 import CHAINS, FIRST_STATE, resume_sha256

_READ_BYTES = 1 << 18

OnBytes = Callable[[int], None]
"""Told how many more bytes were checked."""


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What became of a check. ``bad`` is empty and ``sound`` False where only the whole file's digest is known."""

    path: Path
    sha256: str
    size_bytes: int
    sound: bool
    bad: tuple[Chunk, ...] = ()
    reason: str = ""


def verify_record(path: Path, record: PullRecord, on_bytes: OnBytes | None = None) -> FileCheck:
    """Check a file against the record of its pull."""
    size = path.stat().st_size
    states = record.states()
    if not CHAINS or not states or states[0] != FIRST_STATE:
        return verify_digest(path, record.sha256)
    chunks = cut(record.size_bytes, record.chunk_bytes)
    bad = _broken_links(path, chunks, states, record.sha256, on_bytes)
    if bad and size == record.size_bytes and len(bad) <= 2 and digest_of_file(path) == record.sha256:
        bad = ()  # the record was damaged and not the file
    sound = not bad and size == record.size_bytes
    reason = "" if sound else f"{len(bad)} of {len(chunks)} chunks differ"
    if size != record.size_bytes:
        reason = f"it is {size} bytes long, and {record.size_bytes} are right"
    return FileCheck(path, record.sha256, size, sound, bad, reason)


def verify_digest(path: Path, sha256: str) -> FileCheck:
    """Check a file against a digest."""
    size, found = path.stat().st_size, digest_of_file(path)
    sound = found == sha256
    return FileCheck(path, sha256, size, sound, reason="" if sound else f"its SHA-256 is {found}")


def verify_manifest(path: Path, manifest: ChunkManifest) -> FileCheck:
    """Check a file against a chunk manifest."""
    size, bad = path.stat().st_size, bad_chunks(path, manifest)
    sound = not bad and size == manifest.size_bytes
    reason = "" if sound else f"{len(bad)} of {len(manifest.chunks)} chunks differ"
    return FileCheck(path, manifest.sha256, size, sound, bad, reason)


def repair(check: FileCheck, url: str, options: DownloadOptions, judge: Judge) -> int:
    """Fetch the bad chunks again and write each in place once ``judge`` accepts it; returns the bytes fetched.

    Raises DownloadFailed, or DigestMismatch where the source has other bytes by now.
    """
    source = HttpSource(url, options.http, connections=1)
    fetched = 0
    try:
        facts = ask_patiently(source.probe, url, options.transfer.backoff)
        if facts.size_bytes != judge.size_bytes:
            raise DigestMismatch(
                f"the source has {facts.size_bytes} bytes by now, and {judge.size_bytes} are right",
                place=url,
                fix="fetch the whole file again: tea models rm, then tea models pull",
            )
        with check.path.resolve().open("r+b", buffering=0) as file:
            for chunk in check.bad:

                def fetch_it(chunk: Chunk = chunk) -> bytes:
                    with source.fetch(chunk.offset, chunk.end, facts) as pieces:
                        data = b"".join(pieces)
                    if len(data) < chunk.size_bytes:
                        raise TransientFault(f"the server stopped {chunk.size_bytes - len(data)} bytes early")
                    return data

                data = ask_patiently(fetch_it, url, options.transfer.backoff)
                judge.check(data, chunk, place=url)
                file.seek(chunk.offset)
                file.write(data)
                fetched += len(data)
            file.truncate(judge.size_bytes)
            os.fsync(file.fileno())
    except (FileChanged, RangeIgnored) as error:
        raise DownloadFailed(
            "the source doesn't serve parts of this file any more", place=url, fix="pull it whole"
        ) from error
    finally:
        source.close()
    return fetched


@dataclass(frozen=True, slots=True)
class Judge:
    """Says of a chunk's bytes whether they are right."""

    size_bytes: int
    check: Callable[..., None]

    @staticmethod
    def of_record(record: PullRecord) -> Judge:
        """By the chain of a pull."""
        states = record.states()

        def check(data: bytes, chunk: Chunk, *, place: str) -> None:
            if not _is_link(data, chunk, states, record.sha256):
                raise DigestMismatch(
                    f"the source has other bytes for chunk {chunk.index} by now", place=place
                )

        return Judge(record.size_bytes, check)

    @staticmethod
    def of_manifest(manifest: ChunkManifest) -> Judge:
        """By a chunk manifest."""
        return Judge(manifest.size_bytes, check_chunk)


def _broken_links(
    path: Path, chunks: Sequence[Chunk], states: Sequence[bytes], sha256: str, on_bytes: OnBytes | None
) -> tuple[Chunk, ...]:
    """Chunks that don't lead from their state to the next one, the last of them to the digest."""

    def sound(chunk: Chunk) -> bool:
        running = resume_sha256(states[chunk.index], chunk.offset)
        buffer = bytearray(_READ_BYTES)
        view = memoryview(buffer)
        at = chunk.offset
        while at < chunk.end:
            count = read_into(descriptor, view[: chunk.end - at], at)
            if count == 0:
                return False
            running.update(view[:count])
            at += count
        if on_bytes is not None:
            on_bytes(chunk.size_bytes)
        if chunk.index + 1 < len(states):
            return running.state() == states[chunk.index + 1]
        return running.hexdigest() == sha256

    descriptor = os.open(path, os.O_RDONLY | PRIVATE_BINARY)
    try:
        with ThreadPoolExecutor(max(os.cpu_count() or 1, 2)) as pool:
            return tuple(
                chunk for chunk, right in zip(chunks, pool.map(sound, chunks), strict=True) if not right
            )
    finally:
        os.close(descriptor)


def _is_link(data: bytes, chunk: Chunk, states: Sequence[bytes], sha256: str) -> bool:
    if len(data) != chunk.size_bytes:
        return False
    running = resume_sha256(states[chunk.index], chunk.offset)
    running.update(data)
    if chunk.index + 1 < len(states):
        return running.state() == states[chunk.index + 1]
    return running.hexdigest() == sha256
