"""Guesses of what a sequence says next, for the model to judge in one pass. Exact: guesses are only ever confirmed.

What followed the same words before is asked first, it costs nothing; then a smaller model of the same vocabulary, if
there is one. Drafts grow while they hit and pause when they miss, each source for itself. Knows nothing of batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

FIRST_DRAFT = 3
LONGEST_PAUSE = 64


class DraftSource(Protocol):
    """Whoever can guess for one sequence."""

    def draft(self, tokens: Sequence[int], length: int) -> list[int]:
        """Up to ``length`` tokens that may follow; empty without an idea."""
        ...


class DraftPace:
    """How much to ask one source, by how it did. Lengths are in tokens, up to ``longest``."""

    __slots__ = ("_length", "_longest", "_pause", "_wait", "drafted", "hits")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._length = min(FIRST_DRAFT, longest)
        self._pause = 1
        self._wait = 0
        self.drafted = 0
        self.hits = 0

    def ask(self) -> int:
        """Tokens to ask for now; 0 while pausing."""
        if self._wait > 0:
            self._wait -= 1
            return 0
        return self._length

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
            self._length = min(max(FIRST_DRAFT, hits), self._longest)
            self._pause = 1


class Drafts:
    """The sources of one sequence, asked in order."""

    __slots__ = ("_last", "_sources")

    def __init__(self, longest: int, *sources: DraftSource) -> None:
        self._sources = [(source, DraftPace(longest)) for source in sources]
        self._last: DraftPace | None = None

    def draft(self, tokens: Sequence[int], room: int) -> list[int]:
        """At most ``room`` tokens that may follow; empty while all pause or where nobody has an idea."""
        for source, pace in self._sources:
            length = min(pace.ask(), room)
            found = source.draft(tokens, length) if length > 0 else []
            if found:
                self._last = pace
                return found
        return []

    def learn(self, drafted: int, hits: int) -> None:
        """How many tokens of the last draft the model would have said."""
        if self._last is not None:
            self._last.learn(drafted, hits)
