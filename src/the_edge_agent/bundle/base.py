"""The base of a bundle: Python, its standard library, the C library and the loader that starts them.

Taken from Debian's packages, cut down to what an agent needs, and independent of everything the host has.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from the_edge_agent.bundle import layout
from the_edge_agent.bundle.debs import Deb, DebSource
from the_edge_agent.bundle.variants import (
    BASE_LIBRARIES,
    PYTHON_VERSION,
    UNUSED_EXTENSIONS,
    UNUSED_LIBRARY,
    Architecture,
)
from the_edge_agent.errors import BundleFailed


def put_base(source: DebSource, debs: Iterable[Deb], arch: Architecture, launcher: Path, tree: Path) -> None:
    """Fill ``tree`` with a Python that runs; site-packages is empty."""
    with tempfile.TemporaryDirectory(prefix="tea-base-") as scratch:
        root = Path(scratch)
        source.unpack(debs, root)
        _put_libraries(root, arch, tree / layout.BASE)
        _copy(root / f"usr/bin/python{PYTHON_VERSION}", tree / layout.INTERPRETER)
        _put_stdlib(root / f"usr/lib/python{PYTHON_VERSION}", tree / layout.STDLIB)
        _put_copyrights(root / "usr/share/doc", tree / layout.LICENCES / "debian")
    _copy(launcher, tree / layout.PYTHON)
    (tree / layout.PATH_FILE).write_text("\n".join(layout.PATH_LINES) + "\n", encoding="utf-8")
    (tree / layout.SITE_PACKAGES).mkdir(parents=True)


def _put_libraries(root: Path, arch: Architecture, target: Path) -> None:
    folders = [root / "lib" / arch.multiarch, root / "usr/lib" / arch.multiarch]
    for name in BASE_LIBRARIES:
        found = next((folder / name for folder in folders if (folder / name).exists()), None)
        if found is None:
            raise BundleFailed(f"the packages hold no {name}", place=arch.debian, fix="build on Debian 12")
        _copy(found, target / name)
    _copy(folders[0] / arch.loader, target / layout.LOADER.name)
    # Plugins and host modules ask for the loader by its own name; there must be one of it in a process.
    (target / arch.loader).symlink_to(layout.LOADER.name)


def _put_stdlib(source: Path, target: Path) -> None:
    def unused(folder: str, names: list[str]) -> set[str]:
        if Path(folder).name == "lib-dynload":
            return {name for name in names if name.split(".")[0] in UNUSED_EXTENSIONS}
        top = Path(folder) == source
        return {
            name
            for name in names
            if name == "__pycache__" or (top and (name in UNUSED_LIBRARY or name.startswith("config-")))
        }

    shutil.copytree(source, target, ignore=unused, symlinks=False, ignore_dangling_symlinks=True)


def _put_copyrights(source: Path, target: Path) -> None:
    for file in sorted(source.glob("*/copyright")):
        if file.is_file():
            _copy(file, target / f"{file.parent.name}.txt")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
