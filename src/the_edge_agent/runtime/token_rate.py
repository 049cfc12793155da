"""Tokens a second, over the last few seconds. Knows nothing of who said them."""

from __future__ import annotations

from collections import deque

WINDOW_S = 5.0
MAX_ENTRIES = 10_000


class TokenRate:
    """Counts what passes; ``now_s`` is always a moment of the same clock."""

    def __init__(self) -> None:
        self._counted: deque[tuple[float, int]] = deque()

    def count(self, tokens: int, now_s: float) -> None:
        """So many tokens left now."""
        if tokens:
            self._counted.append((now_s, tokens))
            if len(self._counted) > MAX_ENTRIES:
                self._forget_before(now_s - WINDOW_S)

    def per_s(self, now_s: float) -> float:
        """The rate over the window."""
        self._forget_before(now_s - WINDOW_S)
        return sum(tokens for _, tokens in self._counted) / WINDOW_S

    def _forget_before(self, since_s: float) -> None:
        while self._counted and self._counted[0][0] < since_s:
            self._counted.popleft()
