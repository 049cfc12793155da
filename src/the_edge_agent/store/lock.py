"""One process at a time works on a file; the kernel lets go when the holder dies, however it dies.

Knows nothing of what is guarded. The lock's own file stays, since removing it would let two holders in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from the_edge_agent.gguf.positioned import PRIVATE_BINARY

if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Lock an open file; whether nobody else had."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file; whether nobody else had."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def hold_lock(path: Path, *, while_waiting: Callable[[], None]) -> Generator[bool]:
    """Hold the lock at ``path``; yields whether somebody else had it first.

    ``while_waiting`` is called again and again while another holder is there; it sleeps, and may raise to give up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | PRIVATE_BINARY, 0o644)
    try:
        waited = False
        while not try_lock(descriptor):
            waited = True
            while_waiting()
        yield waited
    finally:
        os.close(descriptor)
