"""Images on their way into a prompt: placeholders among the tokens, and the rows of numbers that stand for them.

A placeholder is a negative number made of the image's content and its place, so that prompts with the same image share
their prefix and prompts with different ones don't. Knows nothing of projectors or of how rows are computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

_PLACE_BITS = 20


@dataclass(frozen=True, slots=True, eq=False)
class ImageRows:
    """What a projector made of one image or a part of it: ``count`` rows of float32, to be fed as if they were tokens.
    ``whole``: its rows look at each other and must be fed in one pass.
    """

    count: int
    rows: bytes
    whole: bool
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedImage:
    """Rows that stand at ``start`` of a prompt."""

    start: int
    image: ImageRows

    @property
    def end(self) -> int:
        """The position behind it."""
        return self.start + self.image.count

    def rows_of(self, start: int, count: int) -> bytes:
        """The rows of ``count`` positions from ``start`` on."""
        size = len(self.image.rows) // self.image.count
        first = start - self.start
        return self.image.rows[first * size : (first + count) * size]


def placeholders(content: bytes, part: int, count: int) -> tuple[int, ...]:
    """``count`` negative numbers for one part of an image's content."""
    digest = hashlib.sha256(content + part.to_bytes(4, "little")).digest()[:12]
    base = int.from_bytes(digest, "little") << _PLACE_BITS
    return tuple(-1 - (base | place) for place in range(count))


def run_length(images: Sequence[PlacedImage], start: int, count: int) -> int:
    """How many of ``count`` positions from ``start`` on can be fed together: up to an image, within one, or one whole."""
    for placed in images:
        if start < placed.start:
            return min(count, placed.start - start)
        if start < placed.end:
            left = placed.end - start
            return left if placed.image.whole else min(count, left)
    return count


def image_at(images: Sequence[PlacedImage], position: int) -> PlacedImage | None:
    """The image that a position belongs to; None for a token."""
    return next((placed for placed in images if placed.start <= position < placed.end), None)
