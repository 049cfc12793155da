"""Tokens become the text that may be shown: whole characters only, and nothing that may begin a stop string.

Tokens that were emitted before a resume go through here first, so that what follows fits to what was seen. Knows nothing
of models' ends, limits or sinks.
"""

from __future__ import annotations

from collections.abc import Iterable

from the_edge_agent.llama.stop_strings import StopStrings
from the_edge_agent.llama.vocab import Detokenizer, Vocab


class ShownText:
    """The text of one sequence as it grows."""

    __slots__ = ("_detokenizer", "_stops")

    def __init__(
        self, vocab: Vocab, stops: tuple[str, ...], resumed: Iterable[int] = (), *, show_special: bool = False
    ) -> None:
        self._detokenizer = Detokenizer(vocab, show_special=show_special)
        self._stops = StopStrings(stops)
        for token in resumed:
            self.push(token)

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met; nothing comes after it."""
        return self._stops.stopped

    def push(self, token: int) -> str:
        """The text that can be shown with this token; may be empty."""
        return self._stops.push(self._detokenizer.push(token))

    def finish(self) -> str:
        """What was held back and turned out to be no stop string."""
        return "" if self._stops.stopped else self._stops.finish()
