"""Bringing a file's bytes from a source into a partial download: ranges side by side, hashed while they arrive.

Fetchers take unfinished chunks in order and write them in place; one hasher follows them through the file. Faults are
waited out, each by the rules of ``Backoff``; what can't be waited out ends the transfer with a typed error and leaves
the finished chunks for the next one. Knows nothing of where the file goes afterwards.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from the_edge_agent.errors import DownloadFailed
from the_edge_agent.gguf.positioned import PRIVATE_BINARY, read_into, write_at
from the_edge_agent.store.backoff import Backoff
from the_edge_agent.store.chunks import Chunk
from the_edge_agent.store.disk import is_full, lacking
from the_edge_agent.store.http_answer import RemoteFacts, TransientFault
from the_edge_agent.store.http_source import HttpSource
from the_edge_agent.store.partial import PartialDownload
from the_edge_agent.store.progress import OnProgress, ProgressMeter
from the_edge_agent.store.sha256 import CHAINS, resume_sha256, start_sha256

_HASH_BYTES = 1 << 20
_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How hard to pull."""

    connections: int = 4
    backoff: Backoff = field(default_factory=Backoff)


class Transfer:
    """One run over one partial download. ``run`` once; the partial's lock is the caller's."""

    def __init__(
        self,
        source: HttpSource,
        facts: RemoteFacts,
        partial: PartialDownload,
        options: TransferOptions,
        *,
        digests: tuple[str, ...] | None = None,
    ) -> None:
        self._source = source
        self._facts = facts
        self._partial = partial
        self._options = options
        self._digests = digests
        self._turn = threading.Condition()
        self._stop = threading.Event()
        self._gate = threading.Lock()
        self._waiting = deque(chunk for chunk in partial.chunks if chunk.index not in partial.fetched)
        self._arrived: dict[int, int] = {}
        self._failure: BaseException | None = None
        self._sha256 = ""
        #: A retry counts as progress, and the count of failures starts anew, once so much came.
        self._progress_bytes = max(partial.identity.chunk_bytes // 16, 1)

    def run(self, file: str, on_progress: OnProgress) -> str:
        """Fetch what is missing and hash it all; returns the file's SHA-256.

        Raises DownloadFailed, DiskFull, FileChanged or RangeIgnored; finished chunks stay in every case.
        """
        if not self._waiting:
            jobs: list[Callable[[], None]] = []
        elif self._facts.takes_ranges:
            jobs = [self._fetch_ranges] * min(self._options.connections, len(self._waiting))
        else:
            jobs = [self._fetch_stream]
        threads = [
            threading.Thread(target=self._guarded, args=(job,), name=f"fetch {file}", daemon=True)
            for job in (*jobs, self._hash_all)
        ]
        meter = ProgressMeter(
            file, self._facts.size_bytes, done_bytes=self._partial.fetched_bytes, now_s=time.monotonic()
        )
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and self._failure is None:
                with self._turn:
                    self._turn.wait(_TICK_S)
                done = self._done_bytes()
                phase = "fetching" if done < self._facts.size_bytes else "checking"
                on_progress(meter.at(phase, done, time.monotonic()))
        finally:
            # A fetcher may sit in a read until its time runs out. It is not waited for: behind the gate nothing is
            # written any more, and nothing can be recorded once the journal is closed.
            with self._gate:
                self._stop.set()
            self._partial.close()
        if self._failure is not None:
            raise self._failure
        return self._sha256

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            with self._turn:
                if self._failure is None and not self._stop.is_set():
                    self._failure = error
        finally:
            with self._turn:
                self._turn.notify_all()

    def _done_bytes(self) -> int:
        with self._turn:
            return self._partial.fetched_bytes + sum(self._arrived.values())

    # fetchers

    def _fetch_ranges(self) -> None:
        with _opened(self._partial.data_path, os.O_WRONLY) as descriptor:
            while not self._stop.is_set() and self._failure is None:
                with self._turn:
                    if not self._waiting:
                        return
                    chunk = self._waiting.popleft()
                self._fetch_chunk(chunk, descriptor)

    def _fetch_chunk(self, chunk: Chunk, descriptor: int) -> None:
        at, failures, reached = chunk.offset, 0, chunk.offset
        digest = hashlib.sha256() if self._digests else None
        while at < chunk.end:
            try:
                with self._source.fetch(at, chunk.end, self._facts) as pieces:
                    for piece in pieces:
                        if not self._write(descriptor, piece, at):
                            return
                        if digest is not None:
                            digest.update(piece)
                        at += len(piece)
                        self._arrived[chunk.index] = at - chunk.offset
                _check_complete(chunk.end - at)
                if digest is not None and self._differs(chunk, digest.hexdigest()):
                    # Only this chunk begins anew; it was never marked as fetched.
                    at, digest = chunk.offset, hashlib.sha256()
                    failures += 1
                    self._wait_out(_wrong_bytes(chunk), failures)
            except TransientFault as fault:
                failures = 1 if at - reached >= self._progress_bytes else failures + 1
                reached = at
                self._wait_out(fault, failures)
        self._finish(chunk)

    def _fetch_stream(self) -> None:
        """The whole file in one go, for a server without ranges; what is finished already is read past."""
        failures, reached = 0, 0
        with _opened(self._partial.data_path, os.O_WRONLY) as descriptor:
            while not self._stop.is_set():
                at = 0
                try:
                    with self._source.fetch_whole(self._facts) as pieces:
                        at = self._take_stream(pieces, descriptor)
                    if self._stop.is_set():
                        return
                    _check_complete(self._facts.size_bytes - at)
                    return
                except TransientFault as fault:
                    done = self._partial.fetched_bytes
                    failures = 1 if done - reached >= self._progress_bytes else failures + 1
                    reached = max(done, reached)
                    self._wait_out(fault, failures)

    def _take_stream(self, pieces: Iterator[bytes], descriptor: int) -> int:
        at = 0
        digest = hashlib.sha256() if self._digests else None
        for piece in pieces:
            view = memoryview(piece)
            while view:
                chunk = self._partial.chunks[at // self._partial.identity.chunk_bytes]
                part = view[: chunk.end - at]
                if chunk.index not in self._partial.fetched:
                    if not self._write(descriptor, part, at):
                        return at
                    self._arrived[chunk.index] = at + len(part) - chunk.offset
                if digest is not None:
                    digest.update(part)
                at += len(part)
                view = view[len(part) :]
                if at == chunk.end:
                    if digest is not None and self._differs(chunk, digest.hexdigest()):
                        raise _wrong_bytes(chunk)
                    digest = hashlib.sha256() if self._digests else None
                    if chunk.index not in self._partial.fetched:
                        self._finish(chunk)
        return at

    def _differs(self, chunk: Chunk, digest: str) -> bool:
        return self._digests is not None and digest != self._digests[chunk.index]

    def _write(self, descriptor: int, data: bytes | memoryview, at: int) -> bool:
        """Put bytes in place; False, and nothing written, once the transfer is over."""
        view = memoryview(data)
        try:
            with self._gate:
                if self._stop.is_set():
                    return False
                while view:
                    written = write_at(descriptor, view, at)
                    view, at = view[written:], at + written
        except OSError as error:
            if not is_full(error):
                raise
            raise lacking(
                self._partial.folder, self._facts.size_bytes - self._partial.fetched_bytes
            ) from error
        return True

    def _finish(self, chunk: Chunk) -> None:
        with self._turn:
            if self._stop.is_set():
                return
            self._partial.mark_fetched(chunk)
            self._arrived.pop(chunk.index, None)
            self._turn.notify_all()

    def _wait_out(self, fault: TransientFault, failures: int) -> None:
        delay_s = self._options.backoff.delay_s(failures, random.random(), fault.retry_after_s)  # noqa: S311
        if delay_s is None:
            asks = f", and asks to wait {fault.retry_after_s:.0f} s" if fault.retry_after_s else ""
            raise DownloadFailed(
                f"{fault}{asks} ({failures} failures in a row)",
                place=self._source.url,
                fix="run the same command again: it goes on where it stopped",
            )
        self._stop.wait(delay_s)

    # the hasher

    def _hash_all(self) -> None:
        partial = self._partial
        done = len(partial.states) - 1 if CHAINS else 0
        running = resume_sha256(partial.states[done], _offset(partial, done)) if done else start_sha256()
        buffer = bytearray(_HASH_BYTES)
        view = memoryview(buffer)
        with _opened(partial.data_path, os.O_RDONLY) as descriptor:
            for chunk in partial.chunks[done:]:
                if not self._await_chunk(chunk):
                    return
                at = chunk.offset
                while at < chunk.end:
                    count = read_into(descriptor, view[: chunk.end - at], at)
                    if count == 0:
                        raise DownloadFailed("the partial file became shorter", place=str(partial.data_path))
                    running.update(view[:count])
                    at += count
                if chunk.index + 1 == len(partial.states):
                    partial.mark_hashed(chunk, running.state())
        self._sha256 = running.hexdigest()

    def _await_chunk(self, chunk: Chunk) -> bool:
        with self._turn:
            while chunk.index not in self._partial.fetched:
                if self._stop.is_set() or self._failure is not None:
                    return False
                self._turn.wait()
        return True


def _check_complete(missing_bytes: int) -> None:
    if missing_bytes > 0:
        raise TransientFault(f"the server stopped {missing_bytes} bytes early")


def _wrong_bytes(chunk: Chunk) -> TransientFault:
    return TransientFault(f"chunk {chunk.index} differs from the manifest")


def _offset(partial: PartialDownload, index: int) -> int:
    return partial.chunks[index].offset if index < len(partial.chunks) else partial.identity.size_bytes


class _opened:  # noqa: N801 - reads as a statement: with _opened(path, flags)
    """A descriptor that closes itself."""

    def __init__(self, path: os.PathLike[str], flags: int) -> None:
        self._descriptor = os.open(path, flags | PRIVATE_BINARY)

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
