"""An artifact in parts, for hosts that take no file over 2 GB, and whole again.

Parts are named ``NAME.part-001-of-003`` and listed in SHA256SUMS beside the whole; a script that needs nothing but a POSIX
shell joins and checks them where no tea is.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from the_edge_agent.bundle.checksums import NAME as SUMS_NAME
from the_edge_agent.bundle.checksums import digest_of, read_sums, write_sums
from the_edge_agent.errors import BundleFailed, DigestMismatch, UsageError

PART_BYTES = 1_900_000_000
_PART = re.compile(r"(?P<name>.+)\.part-(?P<number>\d{3})-of-(?P<count>\d{3})")
_BLOCK_BYTES = 1 << 20

JOIN_SCRIPT = """\
#!/bin/sh
# Joins the parts beside this script into {name}, and checks every byte of it.
set -eu
cd "$(dirname "$0")"
name='{name}'
[ ! -e "$name" ] || {{ echo "$name is there already" >&2; exit 1; }}
for number in {numbers}; do
  part="$name.part-$number-of-{count}"
  [ -f "$part" ] || {{ echo "$part is missing" >&2; exit 1; }}
  cat "$part"
done > "$name.joining"
echo "{sha256}  $name.joining" | sha256sum -c - >/dev/null || {{ echo "the parts are damaged; see sha256sum -c {sums}" >&2; exit 1; }}
{make_executable}mv "$name.joining" "$name"
echo "$name"
"""


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A part's file, its place in the row (from 1), and how many there are."""

    path: Path
    number: int
    count: int


def split_file(path: Path, folder: Path, part_bytes: int = PART_BYTES) -> tuple[Path, ...]:
    """Cut a file into parts below ``folder``, with SHA256SUMS and the join script; the file stays.

    Raises UsageError where it would be one part or more than 999.
    """
    size = path.stat().st_size
    count = -(-size // part_bytes)
    if not 1 < count < 1_000:
        raise UsageError(
            f"{path.name} has {size:,} bytes, which would be {count} parts of {part_bytes:,}",
            place="--part-size",
            fix="choose a size that gives 2 to 999 parts",
        )
    folder.mkdir(parents=True, exist_ok=True)
    whole = hashlib.sha256()
    digests: dict[str, str] = {}
    parts: list[Path] = []
    with path.open("rb") as source:
        for number in range(1, count + 1):
            part = folder / f"{path.name}.part-{number:03}-of-{count:03}"
            digests[part.name] = _copy_part(source, part, part_bytes, whole)
            parts.append(part)
    sha256 = whole.hexdigest()
    script = folder / f"join-{path.name}.sh"
    script.write_text(join_script(path, sha256, count), encoding="utf-8")
    script.chmod(0o755)
    sums = write_sums(folder, {**digests, path.name: sha256, script.name: digest_of(script)})
    return (*parts, script, sums)


def join_parts(first: Path, target: Path | None = None) -> Path:
    """Put the parts of a row together again, checked against SHA256SUMS beside them.

    Raises BundleFailed naming a part that is missing, DigestMismatch naming one that is damaged.
    """
    parts = find_parts(first)
    name = _PART.fullmatch(first.name)
    assert name is not None
    folder = first.parent
    whole = target or folder / name["name"]
    sums_file = folder / SUMS_NAME
    if not sums_file.is_file():
        raise BundleFailed(
            f"there is no {SUMS_NAME}", place=str(folder), fix="fetch it from where the parts are"
        )
    sums = read_sums(sums_file)
    joining = whole.with_name(f"{whole.name}.joining")
    try:
        with joining.open("wb") as file:
            for part in parts:
                with part.path.open("rb") as source:
                    shutil.copyfileobj(source, file, _BLOCK_BYTES)
        if digest_of(joining) != sums.get(name["name"]):
            damaged = [part.path.name for part in parts if digest_of(part.path) != sums.get(part.path.name)]
            raise DigestMismatch(
                f"damaged: {', '.join(damaged) or 'the list of checksums'}",
                place=str(folder),
                fix="fetch that again",
            )
        joining.chmod(0o755 if whole.suffix == ".AppImage" else 0o644)
        joining.replace(whole)
    finally:
        joining.unlink(missing_ok=True)
    return whole


def find_parts(any_part: Path) -> tuple[Part, ...]:
    """All parts of the row that a part belongs to, in order. Raises BundleFailed naming those that are missing."""
    match = _PART.fullmatch(any_part.name)
    if match is None:
        raise BundleFailed(
            "this is no part of an artifact", place=str(any_part), fix="name a .part-001-of-00N file"
        )
    count = int(match["count"])
    parts = tuple(
        Part(any_part.with_name(f"{match['name']}.part-{number:03}-of-{count:03}"), number, count)
        for number in range(1, count + 1)
    )
    missing = [part.path.name for part in parts if not part.path.is_file()]
    if missing:
        raise BundleFailed(f"missing: {', '.join(missing)}", place=str(any_part.parent), fix="fetch them too")
    return parts


def join_script(path: Path, sha256: str, count: int) -> str:
    """The script's text."""
    return JOIN_SCRIPT.format(
        name=path.name,
        numbers=" ".join(f"{number:03}" for number in range(1, count + 1)),
        count=f"{count:03}",
        sha256=sha256,
        sums=SUMS_NAME,
        make_executable='chmod 755 "$name.joining"\n' if path.suffix == ".AppImage" else "",
    )


def _copy_part(source: BinaryIO, part: Path, part_bytes: int, whole: _Digest) -> str:
    digest = hashlib.sha256()
    left = part_bytes
    with part.open("wb") as file:
        while left and (piece := source.read(min(left, _BLOCK_BYTES))):
            for running in (digest, whole):
                running.update(piece)
            file.write(piece)
            left -= len(piece)
    return digest.hexdigest()
