"""Guesses what a text will say next by looking where it said the same before. Exact: guesses are only ever confirmed.

A draft is what followed the last earlier occurrence of the last few tokens. The model judges all of it in one pass; what
it wouldn't have said is dropped, so the text is the same, sooner where texts repeat (copying, extraction, code). Drafts
grow while they hit and pause when they miss. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_MATCH = 4
SHORTEST_MATCH = 2
FIRST_DRAFT = 3
LONGEST_PAUSE = 64
#: How far back to look; a longer search would cost more than a token.
WINDOW = 4_096


class PromptLookup:
    """Drafts for one sequence, up to ``longest`` tokens each."""

    __slots__ = ("_length", "_longest", "_pause", "_wait", "drafted", "hits")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._length = min(FIRST_DRAFT, longest)
        self._pause = 1
        self._wait = 0
        self.drafted = 0
        self.hits = 0

    def draft(self, tokens: Sequence[int]) -> list[int]:
        """Tokens that may follow; empty while pausing or where nothing repeats."""
        if self._wait > 0:
            self._wait -= 1
            return []
        return find_continuation(tokens, self._length)

    def learn(self, drafted: int, hits: int) -> None:
        """How many tokens of the last draft the model would have said."""
        self.drafted += drafted
        self.hits += hits
        if hits == drafted:
            self._length = min(self._longest, self._length * 2)
            self._pause = 1
        elif hits == 0:
            self._length = min(FIRST_DRAFT, self._longest)
            self._wait = self._pause
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
        else:
            self._length = max(FIRST_DRAFT, hits)
            self._pause = 1


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
