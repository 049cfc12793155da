"""One file of a folder: a runtime, and behind it the folder as squashfs.

Models lie in it uncompressed, so that they are read at the disk's speed; everything else is zstd. The same folder gives
the same bytes: owners, times and order are fixed.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from the_edge_agent.bundle.elf import end_of, machine_of
from the_edge_agent.bundle.native import build_runtime
from the_edge_agent.bundle.variants import Architecture
from the_edge_agent.bundle.workshop import Workshop, call
from the_edge_agent.errors import BundleFailed, DigestMismatch

MAGIC = b"AI\x02"
MAGIC_OFFSET = 8
BLOCK = "128K"


def resolve_runtime(workshop: Workshop, arch: Architecture, given: Path | None, sha256: str | None) -> Path:
    """The runtime to use: the given file, checked, or our own. Raises BundleFailed, DigestMismatch."""
    if given is None:
        return build_runtime(workshop, arch)
    try:
        data = given.read_bytes()
    except OSError as error:
        raise BundleFailed(
            f"it can't be read: {error.strerror}", place=str(given), fix="check --runtime"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise DigestMismatch(
            f"its SHA-256 is {found}", place=str(given), fix=f"--runtime-sha256 says {sha256}"
        )
    check_runtime(given, arch)
    return given


def check_runtime(path: Path, arch: Architecture) -> None:
    """Raise BundleFailed where this is no type-2 runtime for that machine, or has something behind it already."""
    if machine_of(path) != arch.elf_machine:
        raise BundleFailed(
            f"it is no program for {arch.name}", place=str(path), fix="name the runtime of that machine"
        )
    if end_of(path) != path.stat().st_size:
        raise BundleFailed(
            "something stands behind its last section",
            place=str(path),
            fix="name a bare runtime, no whole AppImage",
        )


def write_appimage(tree: Path, runtime: Path, target: Path, epoch_s: int) -> None:
    """Write the AppImage of ``tree`` to ``target``."""
    offset = runtime.stat().st_size
    call(
        [
            "mksquashfs", tree, target, "-offset", str(offset), "-noappend", "-no-progress", "-quiet",
            "-all-root", "-no-xattrs", "-no-exports", "-b", BLOCK, "-comp", "zstd", "-Xcompression-level", "15",
            "-action", "uncompressed@name(*.gguf)",
        ],
        environ={"SOURCE_DATE_EPOCH": str(epoch_s)},
    )  # fmt: skip
    with target.open("r+b") as file, runtime.open("rb") as source:
        shutil.copyfileobj(source, file)
        file.seek(MAGIC_OFFSET)
        file.write(MAGIC)
    target.chmod(0o755)
