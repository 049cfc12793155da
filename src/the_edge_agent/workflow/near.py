"""Near names for a mistyped one. Pure; knows nothing of where the names come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_LISTED = 24


def did_you_mean(
    name: str, known: Iterable[str], *, also: Sequence[str] = (), what: str = "use one of"
) -> str:
    """``did you mean 'x'?``, or the known names where none is near. ``also`` are guesses that come last."""
    names = sorted(known)
    near = get_close_matches(name[:60], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if also:
        return f"did you mean {also[0]!r}? The names here are {', '.join(names[:_LISTED])}"
    if not names:
        return "none is defined"
    return f"{what}: {', '.join(names[:_LISTED])}{', ...' if len(names) > _LISTED else ''}"
