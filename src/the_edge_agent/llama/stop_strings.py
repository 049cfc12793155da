"""Finds stop strings in streamed text: holds back what may be the beginning of one. Knows nothing of tokens."""

from __future__ import annotations


class StopStrings:
    """Feed text with ``push``; what it returns can be shown. After a stop string ``stopped`` is True and the rest,
    the stop string included, is dropped.
    """

    __slots__ = ("_held", "_longest", "_stops", "stopped")

    _held: str

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """The text that is safe to show now."""
        if not self._stops:
            return text
        if self.stopped:
            return ""
        text = self._held + text
        found = [(text.index(stop), stop) for stop in self._stops if stop in text]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)[0]]
        keep = self._possible_start(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What was held back and turned out to be no stop string."""
        held, self._held = self._held, ""
        return held

    def _possible_start(self, text: str) -> int:
        """Length of the longest end of ``text`` that begins a stop string."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            tail = text[-length:]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0
