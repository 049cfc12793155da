"""The daemon's Unix socket: one owner by lock, mode 0600, and a stale file removed only by whoever holds the lock."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator
from pathlib import Path

from the_edge_agent.errors import BackendUnavailable, SettingInvalid

#: sun_path of Linux holds 108 bytes with the final NUL; macOS's 104.
MAX_PATH_BYTES = 103


@contextlib.contextmanager
def own_socket(path: Path) -> Generator[socket.socket]:
    """The listening socket, bound and locked for the length of the block; the file is gone afterwards.

    The lock is the kernel's (flock): it ends with its process, however that ends, so nothing can go stale.

    Raises:
        BackendUnavailable: another daemon holds it.
        SettingInvalid: the path can't be a socket.
    """
    import fcntl  # Unix alone has it, and this module is imported where there is none

    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise SettingInvalid(
            f"{path} is longer than {MAX_PATH_BYTES} bytes", place="socket", fix="choose a shorter one"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingInvalid(
            f"{path.parent} can't be used: {error.strerror}", place="socket", fix="choose another"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackendUnavailable(
                f"a daemon is serving {path} already",
                place="socket",
                fix="`tea runtime stop` ends it, --socket takes another",
            ) from None
        with bind_unix(path) as listening:
            inode = path.stat().st_ino
            try:
                yield listening
            finally:
                with contextlib.suppress(OSError):
                    if path.stat().st_ino == inode:
                        path.unlink()
    finally:
        os.close(lock)


def bind_unix(path: Path) -> socket.socket:
    """A listening socket of mode 0600 in place of whatever socket lay there. Raises SettingInvalid for another kind of file."""
    if path.is_socket():
        path.unlink()
    elif path.exists():
        raise SettingInvalid(
            f"{path} is a file and no socket", place="socket", fix="move it away, or choose another path"
        )
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise SettingInvalid(
            f"{path} can't be bound: {error.strerror}", place="socket", fix="choose another path"
        ) from None
    finally:
        os.umask(before)
    listening.setblocking(False)
    listening.listen(1024)
    return listening
