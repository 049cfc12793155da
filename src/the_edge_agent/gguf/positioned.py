"""Reading and writing at a position, through descriptors that no child inherits, on every system.

Unix has calls for it that leave the descriptor's own position alone. Windows has none: there a lock stands around seek and
read, so that threads may still share a descriptor. Knows nothing of what the bytes are.
"""

from __future__ import annotations

import os
import threading

PRIVATE_BINARY = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags for ``os.open``: closed in children, and bytes as they are."""

_seeking = threading.Lock()
_HAS_POSITIONS = hasattr(os, "preadv") and hasattr(os, "pwrite")


def read_at(descriptor: int, size_bytes: int, offset: int) -> bytes:
    """Up to ``size_bytes`` bytes from ``offset``; fewer at the file's end. Raises OSError."""
    if _HAS_POSITIONS:
        return os.pread(descriptor, size_bytes, offset)
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size_bytes)


def read_into(descriptor: int, view: memoryview, offset: int) -> int:
    """Fill ``view`` from ``offset``; how many bytes that was, 0 at the file's end. Raises OSError."""
    if _HAS_POSITIONS:
        return os.preadv(descriptor, [view], offset)
    data = read_at(descriptor, len(view), offset)
    view[: len(data)] = data
    return len(data)


def write_at(descriptor: int, view: memoryview, offset: int) -> int:
    """Write ``view`` at ``offset``; how many bytes of it were taken. Raises OSError."""
    if _HAS_POSITIONS:
        return os.pwrite(descriptor, view, offset)
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, view)
