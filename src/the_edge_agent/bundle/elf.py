"""Just enough ELF: for which machine a program is, and where it ends. Reads the bytes it needs, believes none."""

from __future__ import annotations

import struct
from pathlib import Path

from the_edge_agent.errors import BundleFailed

_HEADER = struct.Struct("<4s5B7xHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NO_BITS = 8
_MOST_SECTIONS = 4_096


def machine_of(path: Path) -> int:
    """The ``e_machine`` of a 64-bit little-endian ELF file. Raises BundleFailed where it isn't one."""
    return _header(path)[7]


def end_of(path: Path) -> int:
    """Where the ELF part of a file ends, in bytes: an AppImage's payload begins there. Raises BundleFailed."""
    fields = _header(path)
    offset, entry_bytes, count = fields[11], fields[16], fields[17]
    size = path.stat().st_size
    end = offset + entry_bytes * count
    if entry_bytes != _SECTION.size or count > _MOST_SECTIONS or end > size:
        raise BundleFailed("its section table is malformed", place=str(path))
    with path.open("rb") as file:
        file.seek(offset)
        for _ in range(count):
            section = _SECTION.unpack(file.read(_SECTION.size))
            if section[1] != _NO_BITS:
                end = max(end, section[4] + section[5])
    if end > size:
        raise BundleFailed("a section lies outside the file", place=str(path))
    return end


def _header(path: Path) -> tuple[int, ...]:
    with path.open("rb") as file:
        data = file.read(_HEADER.size)
    if len(data) < _HEADER.size or data[:4] != b"\x7fELF":
        raise BundleFailed("it is no ELF program", place=str(path))
    fields = _HEADER.unpack(data)
    if fields[1] != 2 or fields[2] != 1:
        raise BundleFailed("it is no 64-bit little-endian program", place=str(path))
    return fields
