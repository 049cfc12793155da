"""The file port over the machine's file system. Holds every path to the roots it is handed, links resolved."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from the_edge_agent.errors import FileActionFailed, PermissionDenied


class LocalFiles:
    """Reads and writes regular files below the roots; nothing else."""

    async def read(self, path: str, *, roots: Sequence[str], max_bytes: int) -> bytes:
        """The file's bytes. Raises PermissionDenied outside the roots, FileActionFailed where it can't be read."""
        place = _checked(path, roots)
        try:
            data = _read(place, max_bytes + 1)
        except OSError as error:
            raise FileActionFailed(f"{path} can't be read: {error.strerror}", fix="check the path") from error
        if data is None:
            raise FileActionFailed(f"{path} is no regular file", fix="give a file")
        if len(data) > max_bytes:
            raise FileActionFailed(f"{path} has more than {max_bytes:,} bytes", fix="raise max_bytes")
        return data

    async def write(self, path: str, data: bytes, *, roots: Sequence[str], append: bool) -> None:
        """Write the file whole or not at all; make missing folders. Raises PermissionDenied, FileActionFailed."""
        place = _checked(path, roots)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if append:
                with place.open("ab") as file:
                    file.write(data)
            else:
                _replace(place, data)
        except OSError as error:
            raise FileActionFailed(
                f"{path} can't be written: {error.strerror}", fix="check the path"
            ) from error


def _read(place: Path, at_most: int) -> bytes | None:
    """The beginning of a file; None where it is no regular one."""
    # Not blocking, or a named pipe would hold up the whole run; no link, the path is resolved already.
    descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(at_most) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _replace(place: Path, data: bytes) -> None:
    if place.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:100]}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.chmod(place.stat().st_mode & 0o777 if place.exists() else 0o644)
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _checked(path: str, roots: Sequence[str]) -> Path:
    """The resolved path, if one of the resolved roots holds it."""
    if "\0" in path:
        raise FileActionFailed("the path has a NUL character", fix="remove it")
    try:
        place = Path(path).resolve()
        held = any(place.is_relative_to(Path(root).resolve()) for root in roots)
    except (OSError, RuntimeError, ValueError) as error:
        raise FileActionFailed(f"{path!r} is no usable path: {error}", fix="check the path") from error
    if not held:
        raise PermissionDenied(
            f"this run may not touch {path}",
            fix="name its folder in settings.permissions.files and allow it: --allow-files FOLDER",
        )
    return place
