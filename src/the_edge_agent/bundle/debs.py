"""Debian packages as a source of files: looked up by apt with a state of its own, checked by hash, unpacked.

Works for any architecture and touches nothing of the machine's own package state; the mirror is whatever the machine's
apt sources name. Knows nothing of what the packages are for.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from the_edge_agent.bundle.variants import Architecture
from the_edge_agent.bundle.workshop import Workshop, call
from the_edge_agent.errors import BundleFailed, DigestMismatch

_URI_LINE = re.compile(r"^'([^']+)' (\S+)_(\S+)_(\S+)\.deb (\d+) SHA256:([0-9a-f]{64})$")


@dataclass(frozen=True, slots=True)
class Deb:
    """A package at a version, and the digest of its file."""

    name: str
    version: str
    sha256: str


class DebSource:
    """The packages of one architecture. Files are kept in the cache by digest."""

    def __init__(self, workshop: Workshop, arch: Architecture) -> None:
        self._arch = arch
        self._files = workshop.cache / "debs"
        self._state = workshop.cache / "apt" / arch.debian
        self._fresh = False

    def resolve(self, names: Iterable[str], pinned: Mapping[str, Deb] | None = None) -> tuple[Deb, ...]:
        """The packages as apt offers them now, or as ``pinned``; in the order of the names. Raises BundleFailed."""
        wanted = list(names)
        pinned = pinned or {}
        open_names = [name for name in wanted if name not in pinned]
        found = {**pinned, **(self._ask(open_names) if open_names else {})}
        missing = [name for name in wanted if name not in found]
        if missing:
            raise BundleFailed(
                f"apt knows no {', '.join(missing)} for {self._arch.debian}",
                place="apt",
                fix="build on Debian 12, or name its mirror in the apt sources",
            )
        return tuple(found[name] for name in wanted)

    def unpack(self, debs: Iterable[Deb], folder: Path) -> None:
        """Put the files of the packages below ``folder``."""
        for deb in debs:
            call(["dpkg-deb", "-x", self.fetch(deb), folder])

    def fetch(self, deb: Deb) -> Path:
        """The package's file, downloaded unless it is in the cache. Raises DigestMismatch, BundleFailed."""
        file = self._files / f"{deb.sha256}.deb"
        if file.is_file():
            return file
        self._files.mkdir(parents=True, exist_ok=True)
        self._update()
        with tempfile.TemporaryDirectory(dir=self._files) as scratch:
            options = ("-o", "APT::Sandbox::User=root")  # _apt may not write here, and apt would warn
            call(
                ["apt-get", *self._options(), *options, "download", f"{deb.name}={deb.version}"],
                cwd=Path(scratch),
            )
            got = next(Path(scratch).glob("*.deb"))
            with got.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            if sha256 != deb.sha256:
                raise DigestMismatch(
                    f"{deb.name} {deb.version} has the SHA-256 {sha256}",
                    place="apt",
                    fix=f"the lock says {deb.sha256}",
                )
            shutil.move(got, file)
        return file

    def _ask(self, names: list[str]) -> dict[str, Deb]:
        self._update()
        printed = call(["apt-get", *self._options(), "download", "--print-uris", *names])
        found: dict[str, Deb] = {}
        for line in printed.splitlines():
            match = _URI_LINE.match(line)
            if match:
                name, version = urllib.parse.unquote(match[2]), urllib.parse.unquote(match[3])
                found[name] = Deb(name, version, match[6])
        return found

    def _options(self) -> list[str]:
        state, arch = self._state, self._arch.debian
        return [
            "-qq",
            *("-o", f"APT::Architecture={arch}", "-o", f"APT::Architectures={arch}"),
            *("-o", f"Dir::State={state}", "-o", f"Dir::State::status={state / 'status'}"),
            *("-o", f"Dir::Cache={state / 'cache'}"),
        ]

    def _update(self) -> None:
        if self._fresh:
            return
        for folder in ("lists/partial", "cache/archives/partial"):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        (self._state / "status").touch()
        call(["apt-get", *self._options(), "update"])
        self._fresh = True
