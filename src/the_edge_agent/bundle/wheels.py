"""Python packages from a lock: fetched by pip for the bundle's architecture, checked by hash, unpacked by us.

Unpacking is plain copying, so no script with a path of this machine and no cache gets in. Knows nothing of Debian.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from the_edge_agent.bundle.variants import PYTHON_VERSION, Architecture
from the_edge_agent.bundle.workshop import Workshop, call
from the_edge_agent.errors import BundleFailed, DigestMismatch

#: Sources and typing stubs that nothing reads at run time.
UNUSED_SUFFIXES = (".pyi", ".c", ".h", ".pyx", ".pxd", ".pyc")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel's file, and its digest."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """The distribution's name, as the file has it."""
        return self.path.name.split("-")[0].replace("_", "-")

    @property
    def version(self) -> str:
        """The distribution's version."""
        return self.path.name.split("-")[1]


def fetch_wheels(workshop: Workshop, lock_name: str, arch: Architecture) -> tuple[Wheel, ...]:
    """The wheels of a lock for that architecture, in order of their names. Raises BundleFailed."""
    lock = workshop.locks / lock_name
    if not lock.is_file():
        raise BundleFailed("the lock is missing", place=str(lock), fix="restore it from version control")
    key = hashlib.sha256(lock.read_bytes() + f"{arch.name} {PYTHON_VERSION}".encode()).hexdigest()[:24]
    folder = workshop.cache / "wheels" / key
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as scratch:
            ready = Path(scratch, "ready")
            _download(lock, arch, ready)
            ready.rename(folder)
    return tuple(Wheel(path, _digest(path)) for path in sorted(folder.glob("*.whl")))


def check_pinned(wheels: Iterable[Wheel], pinned: Iterable[tuple[str, str]]) -> None:
    """Raise DigestMismatch where the wheels aren't those of a bundle's lock (file name, SHA-256)."""
    found = {wheel.path.name: wheel.sha256 for wheel in wheels}
    wanted = dict(pinned)
    off = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if off:
        raise DigestMismatch(
            f"other wheels than the lock's: {', '.join(off)}",
            place="--locked",
            fix="check out the locked version",
        )


def unpack_wheel(wheel: Wheel, folder: Path) -> None:
    """Put a wheel's modules below ``folder``; scripts, headers and data for the system are left out."""
    with zipfile.ZipFile(wheel.path) as archive:
        for entry, target in _modules(archive):
            file = folder / target
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(archive.read(entry))


def _modules(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename)
        if entry.is_dir() or path.suffix in UNUSED_SUFFIXES or path.is_absolute() or ".." in path.parts:
            continue
        if path.parts[0].endswith(".data"):
            if path.parts[1] not in ("purelib", "platlib"):
                continue
            path = PurePosixPath(*path.parts[2:])
        if path.name == "RECORD":  # it lists files that aren't here
            continue
        yield entry, path


def _download(lock: Path, arch: Architecture, folder: Path) -> None:
    platforms = [word for platform in arch.wheel_platforms for word in ("--platform", platform)]
    abi = "cp" + PYTHON_VERSION.replace(".", "")
    abis = [word for name in (abi, "abi3", "none") for word in ("--abi", name)]
    call(
        [
            sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--require-hashes",
            "--implementation", "cp", "--python-version", PYTHON_VERSION, *platforms, *abis,
            "-r", lock, "-d", folder,
        ]
    )  # fmt: skip


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
