"""Where a bundle is made: the checkout with its sources, a cache, and the tools that are called.

Finds them and runs them; knows nothing of what they are for. A tool that is missing is an error with its package's name.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import the_edge_agent
from the_edge_agent.errors import BundleFailed
from the_edge_agent.settings import load_settings

LAST_LINES = 30

PACKAGES: Mapping[str, str] = {
    "mksquashfs": "squashfs-tools",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "gcc": "gcc",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "minisign": "minisign",
}


@dataclass(frozen=True, slots=True)
class Workshop:
    """The folders a build uses. ``source`` is the checkout; ``epoch_s`` the time that every file in the bundle gets."""

    source: Path
    cache: Path
    epoch_s: int

    @property
    def native(self) -> Path:
        """C sources of launcher and AppImage runtime, and the icon."""
        return self.source / "packaging" / "appimage"

    @property
    def locks(self) -> Path:
        """The locks that list wheels with their hashes."""
        return self.source / "requirements"

    @property
    def package(self) -> Path:
        """The package that goes into the bundle: the running one."""
        return Path(the_edge_agent.__file__).parent


def open_workshop(environ: Mapping[str, str]) -> Workshop:
    """Find the checkout this runs from. Raises BundleFailed where it runs from somewhere else."""
    source = Path(the_edge_agent.__file__).resolve().parents[2]
    if not (source / "packaging" / "appimage").is_dir():
        raise BundleFailed(
            "bundles are built in a checkout, and this tea was installed without one",
            place=str(source),
            fix="clone the repository, `make setup-dev`, and use its .venv/bin/tea",
        )
    base = environ.get("XDG_CACHE_HOME")
    cache = Path(base) if base else Path(environ.get("HOME") or Path.cwd()) / ".cache"
    epoch = environ.get("SOURCE_DATE_EPOCH") or "0"
    if not epoch.isdigit():
        raise BundleFailed(
            f"SOURCE_DATE_EPOCH is {epoch!r}", place="environment", fix="give seconds since 1970, or unset it"
        )
    return Workshop(source, cache / "the-edge-agent" / "bundle", int(epoch))


def find_tool(name: str) -> str:
    """A tool's path. Raises BundleFailed with the line that installs it."""
    found = shutil.which(name)
    if found is None:
        raise BundleFailed(
            f"{name} is not installed", place="tea bundle", fix=f"apt-get install {PACKAGES.get(name, name)}"
        )
    return found


def call(
    command: Sequence[str | Path], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """Run a tool to its end and return what it printed. Raises BundleFailed with the end of what it said."""
    words = [find_tool(str(command[0])), *map(str, command[1:])]
    extra = {"LC_ALL": "C", "TZ": "UTC", **(environ or {})}
    done = subprocess.run(  # noqa: S603 - tools of the build, no shell
        words,
        cwd=cwd,
        env={**load_settings().environ, **extra},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-LAST_LINES:])
        raise BundleFailed(f"{Path(words[0]).name} failed with {done.returncode}:\n{said}", place=words[-1])
    return done.stdout
