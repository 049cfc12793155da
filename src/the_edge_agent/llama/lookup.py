"""Guesses what a text will say next by looking where it said the same before.

A draft is what followed the last earlier occurrence of the last few tokens: it pays where texts repeat (copying,
extraction, code). Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_MATCH = 4
SHORTEST_MATCH = 2
#: How far back to look; a longer search would cost more than a token.
WINDOW = 4_096


class PromptLookup:
    """The text itself as a source of drafts."""

    __slots__ = ()

    def draft(self, tokens: Sequence[int], length: int) -> list[int]:
        """Tokens that may follow; empty where nothing repeats."""
        return find_continuation(tokens, length)


def find_continuation(tokens: Sequence[int], length: int) -> list[int]:
    """Up to ``length`` tokens that followed the latest earlier occurrence of the longest ending that has one."""
    recent = list(tokens[-WINDOW:])
    for size in range(min(LONGEST_MATCH, len(recent) - 1), SHORTEST_MATCH - 1, -1):
        ending = recent[-size:]
        last = ending[-1]
        for end in range(len(recent) - 2, size - 2, -1):
            if recent[end] == last and recent[end - size + 1 : end + 1] == ending:
                return recent[end + 1 : end + 1 + length]
    return []
