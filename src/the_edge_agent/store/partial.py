"""A download that is under way, on disk: whole at every moment, so that a kill -9 costs only unfinished chunks.

::

    identity.json   what is fetched: address, etag, size, chunk size; written once, atomically
    data            the file, bytes in their final places
    journal         records appended after the bytes they speak of: "chunk i is in place", "state behind chunk i is s"

A record carries its checksum; a torn one ends the journal. After a restart of the machine the journal may speak of
bytes that never reached the disk: then chunks are believed only where the chain proves them. Knows nothing of HTTP.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from the_edge_agent.gguf.positioned import PRIVATE_BINARY
from the_edge_agent.store.chunks import Chunk, cut
from the_edge_agent.store.sha256 import CHAINS, FIRST_STATE, STATE_BYTES, resume_sha256

_RECORD = struct.Struct("<cI32sI")
_FETCHED, _HASHED = b"C", b"H"
_NOTHING = bytes(STATE_BYTES)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which bytes are being fetched. Any difference means: begin anew."""

    source: str
    etag: str
    size_bytes: int
    chunk_bytes: int
    boot_id: str = ""

    def same_file(self, other: Identity) -> bool:
        """Whether both speak of the same bytes, whatever happened to the machine in between."""
        return replace(self, boot_id="") == replace(other, boot_id="")


def boot_id() -> str:
    """Changes whenever the machine starts; empty where the system doesn't tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class PartialDownload:
    """The folder of one download; the caller holds its lock."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self.folder = folder
        self.identity = identity
        self.chunks: tuple[Chunk, ...] = cut(identity.size_bytes, identity.chunk_bytes)
        self.fetched: set[int] = set()
        self.states: list[bytes] = [FIRST_STATE]
        """States before chunk 0, 1, ...: one more than there are hashed chunks."""
        self._journal = -1
        self._lock = threading.Lock()

    @property
    def data_path(self) -> Path:
        """The file, complete once every chunk is fetched."""
        return self.folder / "data"

    @property
    def fetched_bytes(self) -> int:
        """Bytes of finished chunks."""
        return sum(self.chunks[index].size_bytes for index in self.fetched)

    @classmethod
    def open(cls, folder: Path, identity: Identity) -> PartialDownload:
        """Go on with what is in ``folder``, or begin there; what belongs to other bytes is thrown away."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = cls(folder, identity)
        known = read_identity(folder)
        if known is None or not known.same_file(identity) or not partial._sound_data():
            partial.discard()
            folder.mkdir(parents=True, exist_ok=True)
            partial._begin()
        else:
            partial._read_journal()
            if known.boot_id != identity.boot_id:
                partial._believe_only_the_chain()
        partial._journal = os.open(
            folder / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT | PRIVATE_BINARY, 0o644
        )
        return partial

    def mark_fetched(self, chunk: Chunk) -> None:
        """The chunk's bytes are in place (written, and checked where there is a digest for it)."""
        self._append(_FETCHED, chunk.index, _NOTHING)
        self.fetched.add(chunk.index)

    def mark_hashed(self, chunk: Chunk, state: bytes | None) -> None:
        """The state behind the chunk, which must be the next one to hash."""
        if state is not None:
            self._append(_HASHED, chunk.index, state)
            self.states.append(state)

    def close(self) -> None:
        """Let go of the journal; the folder stays."""
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1

    def discard(self) -> None:
        """Throw everything away."""
        self.close()
        self.fetched.clear()
        del self.states[1:]
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self) -> None:
        descriptor = os.open(self.data_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | PRIVATE_BINARY, 0o644)
        try:
            os.ftruncate(descriptor, self.identity.size_bytes)
        finally:
            os.close(descriptor)
        _write_identity(self.folder, self.identity)

    def _sound_data(self) -> bool:
        try:
            return self.data_path.stat().st_size == self.identity.size_bytes
        except OSError:
            return False

    def _read_journal(self) -> None:
        sound = 0
        for kind, index, state in _records(self.folder):
            if index >= len(self.chunks):
                break
            sound += _RECORD.size
            if kind == _FETCHED:
                self.fetched.add(index)
            elif index == len(self.states) - 1:
                self.states.append(state)
        path = self.folder / "journal"
        if path.exists() and path.stat().st_size != sound:
            os.truncate(path, sound)

    def _believe_only_the_chain(self) -> None:
        """After a restart: keep hashed chunks that still lead from state to state, forget the others."""
        believed: set[int] = set()
        with self.data_path.open("rb") as file:
            for index, (before, after) in enumerate(zip(self.states, self.states[1:], strict=False)):
                chunk = self.chunks[index]
                if (
                    index in self.fetched
                    and CHAINS
                    and _leads(file.read(chunk.size_bytes), before, after, chunk.offset)
                ):
                    believed.add(index)
                else:
                    break
        self.fetched = believed
        del self.states[len(believed) + 1 :]
        journal = self.folder / "journal"
        temporary = self.folder / "journal.new"
        records = [_record(_FETCHED, index, _NOTHING) for index in sorted(believed)]
        records += [_record(_HASHED, index, self.states[index + 1]) for index in sorted(believed)]
        temporary.write_bytes(b"".join(records))
        temporary.replace(journal)
        _write_identity(self.folder, self.identity)

    def _append(self, kind: bytes, index: int, state: bytes) -> None:
        with self._lock:
            if self._journal >= 0:
                os.write(self._journal, _record(kind, index, state))


def read_identity(folder: Path) -> Identity | None:
    """What is being fetched into ``folder``; None where nothing is, or it can't be read."""
    try:
        raw = cast("dict[str, Any]", json.loads((folder / "identity.json").read_text(encoding="utf-8")))
        identity = Identity(**raw)
        sane = int(identity.size_bytes) >= 0 and int(identity.chunk_bytes) > 0
    except (OSError, ValueError, TypeError):
        return None
    return identity if sane else None


def fetched_fraction(folder: Path) -> tuple[int, int] | None:
    """Finished and total bytes of the download in ``folder``, read without its lock; None where there is none."""
    identity = read_identity(folder)
    if identity is None:
        return None
    chunks = cut(identity.size_bytes, identity.chunk_bytes)
    done = sum(chunks[index].size_bytes for index in set(finished_chunks(folder)) if index < len(chunks))
    return done, identity.size_bytes


def finished_chunks(folder: Path) -> tuple[int, ...]:
    """Indexes of finished chunks in the order in which they came, read without the lock."""
    return tuple(index for kind, index, _ in _records(folder) if kind == _FETCHED)


def hashed_bytes(folder: Path) -> int:
    """How far the file is hashed, read without the lock."""
    identity = read_identity(folder)
    ends = [index + 1 for kind, index, _ in _records(folder) if kind == _HASHED]
    return min(max(ends) * identity.chunk_bytes, identity.size_bytes) if identity and ends else 0


def _records(folder: Path) -> Iterator[tuple[bytes, int, bytes]]:
    """The journal's sound records, up to the first torn one."""
    path = folder / "journal"
    try:
        raw = path.read_bytes()
    except OSError:
        return
    for at in range(0, len(raw) - _RECORD.size + 1, _RECORD.size):
        kind, index, state, checksum = _RECORD.unpack_from(raw, at)
        if checksum != zlib.crc32(raw[at : at + _RECORD.size - 4]):
            return
        yield kind, index, state


def _leads(data: bytes, before: bytes, after: bytes, offset: int) -> bool:
    running = resume_sha256(before, offset)
    running.update(data)
    return running.state() == after


def _record(kind: bytes, index: int, state: bytes) -> bytes:
    raw = _RECORD.pack(kind, index, state, 0)[:-4]
    return raw + struct.pack("<I", zlib.crc32(raw))


def _write_identity(folder: Path, identity: Identity) -> None:
    temporary = folder / "identity.json.new"
    temporary.write_text(json.dumps(asdict(identity)), encoding="utf-8")
    temporary.replace(folder / "identity.json")
