"""The store against curl and sha256sum: pulling, resuming, verifying, reading headers. Everything on loopback and tmpfs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.row import Row, at_least, limit

from the_edge_agent.gguf import read_header
from the_edge_agent.gguf.types import ValueType
from the_edge_agent.store import transfer
from the_edge_agent.store.download import DownloadOptions, DownloadRequest, download
from the_edge_agent.store.manifest import build_manifest
from the_edge_agent.store.partial import hashed_bytes
from the_edge_agent.store.places import StorePlaces
from the_edge_agent.store.progress import Progress
from the_edge_agent.store.pull import pull_model
from the_edge_agent.store.pull_options import PullOptions
from the_edge_agent.store.records import load_record
from the_edge_agent.store.sha256 import Sha256
from the_edge_agent.store.verify import verify_manifest, verify_record
from the_edge_agent.testing.gguf_file import FakeGguf, FakeTensor, pattern_model

_SERVE = """
import sys
from pathlib import Path
from the_edge_agent.testing.faulty_server import FaultyServer
server = FaultyServer({"/model.gguf": Path(sys.argv[1])})
with server:
    print(server.url("/model.gguf"), flush=True)
    sys.stdin.read()
"""


def rows(quick: bool) -> Iterator[Row]:
    """All of the store's rows; ``quick`` takes a quarter of the bytes."""
    size = 256 * 1024**2 if quick else 1024**3
    with _folder() as folder:
        path = folder / "model.gguf"
        _write_model(path, size)
        sha256 = _sha256(path)
        with _served(path) as url:
            yield from _pull_rows(folder, url, sha256, size)
        yield from _resume_rows(folder, path)
        yield from _verify_rows(folder, path, size)
        yield from _header_rows(folder)


def _pull_rows(folder: Path, url: str, sha256: str, size: int) -> Iterator[Row]:
    def theirs() -> None:
        copy = folder / "curl.out"
        subprocess.run(["curl", "-s", "-o", str(copy), url], check=True)
        subprocess.run(["sha256sum", str(copy)], check=True, stdout=subprocess.DEVNULL)
        copy.unlink()

    def ours() -> None:
        places = StorePlaces(folder / "store", folder / "hub")
        pull_model(url, places, PullOptions(sha256=sha256))
        shutil.rmtree(places.store_dir)

    mine, peer = _best(ours, theirs)
    megabytes = size / 1e6
    yield at_least(
        "pull over loopback, vs curl then sha256sum", megabytes / mine, megabytes / peer, 0.9, "MB/s"
    )


def _resume_rows(folder: Path, path: Path) -> Iterator[Row]:
    """A download is stopped three quarters in; how many hashed bytes does going on hash once more?"""
    size = path.stat().st_size
    part = folder / "part"
    hashed_before: list[int] = []
    resumed_at: list[int] = []
    resume = transfer.resume_sha256

    def watched(state: bytes, length: int) -> Sha256:
        resumed_at.append(length)
        return resume(state, length)

    def stop_late(progress: Progress) -> None:
        if progress.done_bytes > size * 3 // 4:
            raise KeyboardInterrupt

    with _served(path) as url:
        request = DownloadRequest(url, "model.gguf")
        with suppress(KeyboardInterrupt), download(request, part, DownloadOptions(), on_progress=stop_late):
            pass
        hashed_before.append(hashed_bytes(part))
        transfer.resume_sha256 = watched
        try:
            with download(request, part, DownloadOptions()):
                pass
        finally:
            transfer.resume_sha256 = resume
    assert hashed_before[0] > 0
    again = hashed_before[0] - (resumed_at[0] if resumed_at else 0)
    yield Row(
        "bytes of finished chunks hashed again by a resume", again, None, again, "=0", "bytes", again == 0
    )


def _verify_rows(folder: Path, path: Path, size: int) -> Iterator[Row]:
    places = StorePlaces(folder / "store", folder / "hub")
    with _served(path) as url:
        pulled = pull_model(url, places)
    record = load_record(places.store_dir, "local/model", "model.gguf", "main")
    assert record is not None
    manifest = build_manifest(path, model="model")
    chain, theirs, chunks = _best(
        lambda: verify_record(pulled.path, record),
        lambda: subprocess.run(["sha256sum", str(path)], check=True, stdout=subprocess.DEVNULL),
        lambda: verify_manifest(path, manifest),
    )
    megabytes = size / 1e6
    yield at_least("verify by the chain, vs sha256sum", megabytes / chain, megabytes / theirs, 0.9, "MB/s")
    yield at_least(
        "verify by a chunk manifest, vs sha256sum", megabytes / chunks, megabytes / theirs, 0.9, "MB/s"
    )


def _header_rows(folder: Path) -> Iterator[Row]:
    for tokens, name in ((32_000, "Mistral 7B's shape"), (262_144, "a vocabulary of 262,144")):
        path = folder / "header.gguf"
        _write_big_header(path, tokens)
        seconds = min(_cpu_timed(lambda: read_header(path)) for _ in range(15))  # noqa: B023
        tracemalloc.start()
        read_header(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        yield limit(f"header of a 4 GB model, {name}", seconds * 1e3, 20, "ms of CPU")
        yield limit(f"memory for it, {name}", peak / 1e6, 20, "MB")
        path.unlink()


def _write_big_header(path: Path, tokens: int) -> None:
    """A sparse file of 4.1 GB with the tensors of a 7B model and a vocabulary of that size."""
    names = [f"tok{number}" for number in range(tokens)]
    metadata = {
        "general.architecture": (ValueType.STRING, "llama"),
        "llama.context_length": (ValueType.UINT32, 32768),
        "tokenizer.ggml.tokens": (ValueType.ARRAY, (ValueType.STRING, names)),
        "tokenizer.ggml.scores": (ValueType.ARRAY, (ValueType.FLOAT32, [0.0] * tokens)),
        "tokenizer.ggml.token_type": (ValueType.ARRAY, (ValueType.INT32, [1] * tokens)),
    }
    tensors = [
        FakeTensor(f"blk.{layer}.{name}.weight", shape, type=2)
        for layer in range(32)
        for name, shape in (
            ("attn_q", (4096, 4096)),
            ("attn_k", (4096, 1024)),
            ("attn_v", (4096, 1024)),
            ("attn_output", (4096, 4096)),
            ("ffn_gate", (4096, 14336)),
            ("ffn_up", (4096, 14336)),
            ("ffn_down", (14336, 4096)),
            ("attn_norm", (4096,)),
            ("ffn_norm", (4096,)),
        )
    ]
    head = FakeGguf(metadata=metadata, tensors=tensors).build()
    with path.open("wb") as file:
        file.write(head)
        file.truncate(4_200_000_000)


def _write_model(path: Path, size: int) -> None:
    piece = pattern_model(64 * 1024**2)
    rows = (size - len(piece)) // 128
    head = FakeGguf(tensors=(FakeTensor("token_embd.weight", (32, rows)),)).build()
    with path.open("wb") as file:
        file.write(head[: len(head) - min(rows * 128, 1 << 20)])
        left = rows * 128
        while left > 0:
            file.write(piece[: min(left, len(piece))])
            left -= len(piece)


@contextmanager
def _served(path: Path) -> Iterator[str]:
    """The path behind a server in a process of its own."""
    command = [sys.executable, "-c", _SERVE, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


@contextmanager
def _folder() -> Iterator[Path]:
    """On tmpfs where there is room, so that the disk isn't what is measured."""
    shm = Path("/dev/shm")
    roomy = shm.is_dir() and shutil.disk_usage(shm).free > 6 * 1024**3 and os.access(shm, os.W_OK)
    with tempfile.TemporaryDirectory(dir=shm if roomy else None) as name:
        yield Path(name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _best(*runs: Callable[[], object], repeat: int = 2) -> list[float]:
    """The best time of each, taken in turns so that a busy moment strikes all alike."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeat):
        for index, run in enumerate(runs):
            times[index].append(_timed(run))
    return [min(entry) for entry in times]


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _cpu_timed(run: Callable[[], object]) -> float:
    """What is read lies in the page cache, so on an idle machine this is the time it takes."""
    start = time.process_time()
    run()
    return time.process_time() - start
