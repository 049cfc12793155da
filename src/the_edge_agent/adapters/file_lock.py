"""A lock between processes that dies with its holder. Knows nothing of what it protects."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from the_edge_agent.store.lock import try_lock


class FileLock:
    """Held by one open file: the system releases it when the process ends, however it ends.

    The file is removed on release, while the lock is still held; whoever waited with the removed file open notices that
    the path is another file by then, and tries again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody has it; whether that worked. Raises OSError where the folder can't be written."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            if not try_lock(descriptor):
                os.close(descriptor)
                return False
            if self._is_current(descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)

    def release(self) -> None:
        """Give the lock back. Safe to call twice."""
        if self._descriptor is None:
            return
        if sys.platform != "win32":  # an open file can't be removed there; an unlocked leftover does no harm
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def is_held(self) -> bool:
        """Whether anybody holds it now, this process included."""
        if not self.path.exists():
            return False
        probe = FileLock(self.path)
        try:
            if not probe.acquire():
                return True
        except OSError:  # the place can't be written; a lock can be looked at all the same
            return _is_locked(self.path)
        probe.release()
        return False

    def _is_current(self, descriptor: int) -> bool:
        try:
            return self.path.stat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)
