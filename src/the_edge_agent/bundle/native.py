"""The C programs of a bundle: the launcher and the AppImage runtime, compiled statically for any architecture.

The same source and compiler give the same bytes. Results are kept in the cache by what they were made of.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from the_edge_agent.bundle.debs import DebSource
from the_edge_agent.bundle.variants import RUNTIME_PACKAGES, Architecture
from the_edge_agent.bundle.workshop import Workshop, call

FLAGS = (
    "-std=gnu11",
    "-O2",
    "-static",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wl,--build-id=none",
    "-Wl,--gc-sections",
    "-s",
)
LAUNCHER_SOURCES = ("launcher.c",)
RUNTIME_SOURCES = ("runtime.c", "image.c", "extract.c", "mount.c", "read.c", "absent.c")
RUNTIME_LIBRARIES = ("-lsquashfuse_ll", "-lsquashfuse", "-lfuse3", "-lpthread", "-lzstd", "-lz")


def build_launcher(workshop: Workshop, arch: Architecture) -> Path:
    """The program behind AppRun, tea and python3."""
    return _ensure(workshop, arch, "launcher", LAUNCHER_SOURCES)


def build_runtime(workshop: Workshop, arch: Architecture) -> Path:
    """The type-2 AppImage runtime, linked with squashfuse, libfuse3 and zstd from Debian's packages."""
    headers, folders = runtime_sysroot(workshop, arch)
    return _ensure(
        workshop,
        arch,
        "runtime",
        RUNTIME_SOURCES,
        headers=headers,
        folders=folders,
        libraries=RUNTIME_LIBRARIES,
    )


def runtime_sysroot(workshop: Workshop, arch: Architecture) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compiler options that lead to the headers and to the static libraries of the runtime, unpacked in the cache."""
    source = DebSource(workshop, arch)
    debs = source.resolve(RUNTIME_PACKAGES)
    root = workshop.cache / "sysroot" / _key(*(deb.sha256 for deb in debs))
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=root.parent) as scratch:
            source.unpack(debs, Path(scratch, "root"))
            Path(scratch, "root").rename(root)
    include = root / "usr" / "include"
    headers = ("-isystem", str(include), "-isystem", str(include / "fuse3"), "-D_FILE_OFFSET_BITS=64")
    return headers, (f"-L{root / 'usr' / 'lib' / arch.multiarch}",)


def _ensure(
    workshop: Workshop,
    arch: Architecture,
    name: str,
    sources: Sequence[str],
    *,
    headers: Sequence[str] = (),
    folders: Sequence[str] = (),
    libraries: Sequence[str] = (),
) -> Path:
    compiler = call([arch.compiler, "--version"]).splitlines()[0]
    texts = [path.read_bytes() for path in sorted(workshop.native.glob("*.[ch]"))]
    roots = [Path(folder).parents[2].name for folder in folders]  # named by what they hold
    key = _key(compiler, *FLAGS, *roots, *libraries, *(hashlib.sha256(text).hexdigest() for text in texts))
    target = workshop.cache / "native" / f"{name}-{arch.name}-{key}"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        call(
            [
                arch.compiler, *FLAGS, f"-ffile-prefix-map={workshop.native}=.", *headers,
                *(workshop.native / source for source in sources), "-o", temporary, *folders, *libraries,
            ]
        )  # fmt: skip
        temporary.replace(target)
    return target


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
