"""What the disk says no to, as the store's own errors. Knows nothing of what is written."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from the_edge_agent.errors import DiskFull, StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: OSError) -> bool:
    """Whether there was no room, or no quota, left."""
    return error.errno in _FULL


def disk_full(missing_bytes: int, place: str) -> DiskFull:
    """The error for a disk that lacks so many bytes."""
    return DiskFull(
        f"the disk lacks {missing_bytes} bytes ({missing_bytes / 1e9:.2f} GB)",
        place=place,
        fix="free that much and run the same command again: it goes on where it stopped",
        missing_bytes=missing_bytes,
    )


def lacking(folder: Path, needed_bytes: int) -> DiskFull:
    """The error for a folder whose disk just turned out to be full, with ``needed_bytes`` still to come."""
    return disk_full(max(needed_bytes - shutil.disk_usage(folder).free, 1), str(folder))


@contextmanager
def disk_errors(store_dir: Path) -> Generator[None]:
    """Turn what the system refuses into DiskFull or StoreError that name the path."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise disk_full(1, str(store_dir)) from error
        raise StoreError(
            f"{error.filename or store_dir} can't be used: {error.strerror or error}",
            place=str(store_dir),
            fix="check who may write there, or name another folder with TEA_MODELS_DIR",
        ) from error
