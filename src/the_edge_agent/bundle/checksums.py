"""SHA256SUMS as ``sha256sum -c`` reads it. Several artifacts share the file of their folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from the_edge_agent.errors import BundleFailed

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(path: Path) -> dict[str, str]:
    """Digests by file name. Raises BundleFailed where a line is no checksum."""
    sums: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BundleFailed("this line is no checksum", place=f"{path}:{number}")
        sums[match[2]] = match[1]
    return sums


def write_sums(folder: Path, digests: Mapping[str, str]) -> Path:
    """Add digests to the folder's SHA256SUMS, in place of older ones of the same names."""
    path = folder / NAME
    sums = {**(read_sums(path) if path.is_file() else {}), **digests}
    path.write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)), encoding="utf-8")
    return path


def check_sums(path: Path, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Names whose file is missing or differs; of all lines, or of those named (which must be listed)."""
    sums = read_sums(path)
    wanted = list(sums if names is None else names)
    unlisted = [name for name in wanted if name not in sums]
    if unlisted:
        raise BundleFailed(f"{', '.join(unlisted)} is not listed", place=str(path))
    return tuple(
        name
        for name in wanted
        if not (path.parent / name).is_file() or digest_of(path.parent / name) != sums[name]
    )
