"""What bundles of a line and architecture share: the base with its Python packages, compiled, kept in the cache.

Making it takes a minute and copying it a second. An entry is complete or absent, and is only ever copied from.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from the_edge_agent.bundle import layout, variants
from the_edge_agent.bundle.base import put_base
from the_edge_agent.bundle.bytecode import compile_folder
from the_edge_agent.bundle.debs import Deb, DebSource
from the_edge_agent.bundle.native import build_launcher
from the_edge_agent.bundle.variants import ARCHITECTURES, Architecture, Line
from the_edge_agent.bundle.wheels import Wheel, unpack_wheel
from the_edge_agent.bundle.workshop import Workshop


def put_foundation(
    workshop: Workshop,
    arch: Architecture,
    line: Line,
    *,
    debs: tuple[Deb, ...],
    wheels: tuple[Wheel, ...],
    tree: Path,
) -> None:
    """Fill the empty folder ``tree`` with it."""
    launcher = build_launcher(workshop, arch)
    entry = workshop.cache / "foundation" / _key(launcher, line, debs, wheels)
    if not entry.is_dir():
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=entry.parent) as scratch:
            made = Path(scratch, "made")
            put_base(DebSource(workshop, arch), debs, arch, launcher, made)
            for wheel in wheels:
                unpack_wheel(wheel, made / layout.SITE_PACKAGES)
            with compiler_for(workshop, arch, debs, made) as python:
                compile_folder(python, made / layout.STDLIB, made, keep_sources=line.keeps_sources)
            made.rename(entry)
    shutil.copytree(entry, tree, symlinks=True, dirs_exist_ok=True)


@contextmanager
def compiler_for(workshop: Workshop, arch: Architecture, debs: Iterable[Deb], tree: Path) -> Generator[Path]:
    """A Python of the bundle's version that runs here: its own, or for another machine a base made for this one."""
    here = platform.machine()
    if arch.name == here:
        yield tree / layout.PYTHON
        return
    own: Architecture = ARCHITECTURES[here]
    source = DebSource(workshop, own)
    with tempfile.TemporaryDirectory(prefix="tea-compiler-") as scratch:
        packages = source.resolve(deb.name for deb in debs)
        put_base(source, packages, own, build_launcher(workshop, own), Path(scratch))
        yield Path(scratch) / layout.PYTHON


def _key(launcher: Path, line: Line, debs: Iterable[Deb], wheels: Iterable[Wheel]) -> str:
    """Covers the inputs and the tables that say what is taken of them."""
    tables = (
        variants.BASE_LIBRARIES,
        sorted(variants.UNUSED_LIBRARY),
        sorted(variants.UNUSED_EXTENSIONS),
        layout.PATH_LINES,
        layout.PREFIX,
        line.keeps_sources,
    )
    parts = [launcher.name, *(deb.sha256 for deb in debs), *(wheel.sha256 for wheel in wheels), repr(tables)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
