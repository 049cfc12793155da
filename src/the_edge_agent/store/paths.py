"""Names that come from elsewhere, made safe: what isn't a plain name inside the store is refused. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from the_edge_agent.errors import PathRefused

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+ ()-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")


def checked_part(text: str, *, place: str) -> str:
    """``text`` if it can be one folder or file name and nothing else. Raises PathRefused."""
    if not _PART.fullmatch(text) or text.endswith((".", " ")) or ".." in text:
        raise PathRefused(
            f"{text!r} can't be a file name in the store",
            place=place,
            fix="names are letters, digits and . _ + - with no slash, no .. and no leading dot",
        )
    return text


def checked_relative(text: str, *, place: str) -> PurePosixPath:
    """``text`` as a relative path of up to 8 safe parts. Raises PathRefused."""
    parts = text.split("/")
    if len(parts) > 8:
        raise PathRefused(f"{text!r} is nested too deeply", place=place)
    return PurePosixPath(*(checked_part(part, place=place) for part in parts))


def checked_sha256(text: str, *, place: str) -> str:
    """``text`` if it is a SHA-256 in lower-case hex. Raises PathRefused."""
    if not _SHA256.fullmatch(text):
        raise PathRefused(f"{text!r} is no SHA-256 digest", place=place, fix="give 64 lower-case hex digits")
    return text


def is_sha256(text: str) -> bool:
    """Whether ``text`` is a SHA-256 in lower-case hex."""
    return _SHA256.fullmatch(text) is not None


def checked_commit(text: str, *, place: str) -> str:
    """``text`` if it is a commit's hash. Raises PathRefused."""
    if not _COMMIT.fullmatch(text):
        raise PathRefused(f"{text!r} is no commit", place=place)
    return text.lower()
