"""Bundles: how fast one file starts, how fast its model is read, how big it is. Each against the same without a bundle."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.row import Row, at_least, at_most, limit
from bench.synthetic import synthetic_model

ROOT = Path(__file__).resolve().parents[1]
AGENT = ROOT / "examples" / "llm" / "local-chat.yaml"
BLOCK = 1 << 20


def rows(quick: bool) -> Iterator[Row]:
    """All of the bundles' rows; ``quick`` repeats less."""
    times = 3 if quick else 11
    model = synthetic_model("tinyllama-1.1b-q4_k_m")
    with tempfile.TemporaryDirectory(
        prefix="bundles-", dir=model.parent
    ) as name:  # on a disk, as /tmp may not be
        folder = Path(name)
        bare = _bundle(folder / "bare.AppImage", "none")
        yield limit("lite image without a model", bare.stat().st_size / 1e6, 30, "MB")
        yield from _start_rows(bare, folder, times)
        image = _bundle(folder / "tinyllama.AppImage", str(model))
        yield from _read_rows(image, model)
        yield from _first_token_rows(image, model, 1 if quick else 3)


def _bundle(target: Path, model: str) -> Path:
    subprocess.run(
        [
            sys.executable, "-m", "the_edge_agent.cli", "bundle", "appimage", AGENT,
            "--line", "lite", "--model", model, "--output", target, "-q",
        ],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return target


def _start_rows(image: Path, folder: Path, times: int) -> Iterator[Row]:
    subprocess.run([image, "--appimage-extract"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    unpacked = folder / "squashfs-root" / "AppRun"
    pairs = [(_version_s(image), _version_s(unpacked)) for _ in range(times)]
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    yield at_most("--version, warm, vs the unpacked folder", ours * 1e3, theirs * 1e3, 1.5, "ms")
    cold: list[float] = []
    for _ in range(3):
        time.sleep(0.5)  # the last one's mount is gone by then
        _forget(image)
        cold.append(_version_s(image))
    yield limit("--version, the image not in the page cache", min(cold), 0.25, "s")


def _read_rows(image: Path, model: Path) -> Iterator[Row]:
    with _mounted(image) as point:
        inside = point / "usr" / "share" / "models" / model.name
        ours, theirs = [], []
        for _ in range(2):
            for path, times in ((model, theirs), (inside, ours)):
                _forget(path, image)
                start = time.perf_counter()
                _read(path)
                times.append(time.perf_counter() - start)
        megabytes = model.stat().st_size / 1e6
        yield at_least(
            "model read through the mount, cold, vs the plain file",
            megabytes / min(ours), megabytes / min(theirs), 0.9, "MB/s",
        )  # fmt: skip
        _forget(image, inside)
        _read(inside)
        held = (_resident(image) + _resident(inside)) / 1e6
        yield at_most("page cache after reading the model, vs its size", held, megabytes, 1.2, "MB")


def _first_token_rows(image: Path, model: Path, times: int) -> Iterator[Row]:
    venv = (sys.executable, "-m", "the_edge_agent.cli")
    pairs = [
        (_first_token_s(str(image)), _first_token_s(*venv, file=AGENT, gguf=model)) for _ in range(times)
    ]
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    yield at_most("start to first token, TinyLlama's shape, vs a venv", ours, theirs, 1.2, "s")


def _first_token_s(*command: str, file: Path | None = None, gguf: Path | None = None) -> float:
    extra = [*([str(file)] if file else []), *(["--gguf", str(gguf)] if gguf else [])]
    words = [*command, "run", *extra, "--no-log", "--stream", "--input", json.dumps({"question": "Hi"})]
    start = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if json.loads(line).get("type") == "token":
                    return time.perf_counter() - start
        finally:
            process.kill()
    raise RuntimeError("the run ended without a token")


def _version_s(program: Path) -> float:
    start = time.perf_counter()
    subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


@contextmanager
def _mounted(image: Path) -> Iterator[Path]:
    with subprocess.Popen([image, "--appimage-mount"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Path(process.stdout.readline().strip())
        finally:
            process.terminate()


def _read(path: Path) -> None:
    buffer = bytearray(BLOCK)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _forget(*paths: Path) -> None:
    """Put files out of the page cache."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            with suppress(OSError):  # a read-only file system has nothing to write
                os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _resident(path: Path) -> int:
    """Bytes of a file in the page cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    ]  # fmt: skip
    size = path.stat().st_size
    descriptor = os.open(path, os.O_RDONLY)
    try:
        address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        if libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), pages) != 0:
            raise OSError(ctypes.get_errno(), "mincore")
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    finally:
        os.close(descriptor)
    return sum(page & 1 for page in pages) * mmap.PAGESIZE
