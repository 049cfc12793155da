"""How many prompt tokens a step may feed. Decides from measured times alone; has no clock of its own.

Three aims: no step takes much longer than ``MAX_STEP_S`` (so that a cancel is soon seen); beside a long prompt, running
streams keep all but ``share`` of the pace they had without it, also where its cells slow their own steps down; short
prompts go in whole and at once, for whoever sent them is waiting, and the streams get their time back before the next:
each of both has an equal part of it. Unused time is saved up to ``BURST_S``. One step that took absurdly long (a machine
that slept, weights that came from the disk) is mostly forgotten. Knows nothing of sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from the_edge_agent.llama.scheduler import LONG_PROMPTS_PART, SHORT_PROMPT

MAX_STEP_S = 0.4
BURST_S = 0.05
LEAST_SHORT_SHARE, MOST_SHORT_SHARE = 0.5, 0.9
#: Of what a prompt may take of a stream's time, this much it takes even where its cells slow the stream down by more.
LEAST_EARNED = 0.25
MIN_CHUNK = 16
#: Fewer rows in one pass cost nearly as much as this many.
GOOD_CHUNK = 64
#: A step counts for at most this many times what it was expected to take.
MOST_SURPRISE = 4.0
_WEIGHT = 0.3


@dataclass(slots=True)
class Pacer:
    """The running estimate of what a prompt token costs, and the time that prefill has saved up."""

    n_batch: int
    share: float = 0.17
    token_s: float = 0.0
    """Seconds a prompt token takes; 0 until the first was measured."""
    decode_s: float = 0.0
    """Seconds a step without prompt tokens takes; 0 until the first was measured."""
    credit_s: float = BURST_S

    _share_now: float = 0.17
    _alone_s: float = 0.0
    """``decode_s`` before there was a prompt beside these streams."""
    _n_decoding: int = 0
    _n_fed: int = 0
    """Prompt tokens since then; ``_n_said`` are those of the streams, whose own cells slow them down as well."""
    _n_said: int = 0

    def budget(self, *, n_decoding: int, prompts: Sequence[int]) -> int:
        """Prompt tokens that the next step may feed; 0 while credit is being saved. ``prompts`` are the sizes of those
        that aren't whole yet, in the order they are fed: short ones first.
        """
        if not prompts or n_decoding != self._n_decoding:
            self._alone_s, self._n_decoding = self.decode_s, n_decoding
            self._n_fed = self._n_said = 0
        n_short = sum(1 for _ in takewhile(lambda tokens: tokens <= SHORT_PROMPT, prompts))
        self._share_now = self.share
        if n_short:
            fair = n_short / (n_short + n_decoding)
            self._share_now = max(self.share, min(MOST_SHORT_SHARE, max(LEAST_SHORT_SHARE, fair)))
        if self.token_s <= 0:
            return min(GOOD_CHUNK, self.n_batch)
        longest = self._longest()
        if n_decoding == 0:
            return min(longest, self.n_batch)
        if n_short:
            tokens = sum(prompts[:n_short])
            if n_short < len(prompts):
                tokens += tokens // (LONG_PROMPTS_PART - 1) + 1  # long ones have their part beside them
            return min(longest, tokens, self.n_batch) if self.credit_s >= 0 else 0
        affordable = int(self.credit_s / self.token_s + 1e-6)
        return min(affordable, longest, self.n_batch) if affordable >= self._worthwhile() else 0

    def _longest(self) -> int:
        return max(MIN_CHUNK, int(MAX_STEP_S / self.token_s))

    def _worthwhile(self) -> int:
        """Small chunks waste a pass over the weights each: save until there is enough for a good one."""
        return min(self._longest(), max(GOOD_CHUNK, int(self.decode_s / self.token_s)), self.n_batch)

    def observe(self, *, n_prompt: int, n_decoded: int, seconds: float) -> None:
        """Take a step's measured time into account."""
        self._n_fed += n_prompt
        self._n_said += n_decoded
        if n_prompt == 0:
            self.decode_s = _blend(self.decode_s, seconds)
            self._save(self._earned_s(seconds))
            return
        extra_s = seconds - (self.decode_s if n_decoded else 0.0)
        token_s = max(extra_s, seconds * 0.1) / n_prompt
        if self.token_s > 0:
            extra_s = min(extra_s, MOST_SURPRISE * self.token_s * max(n_prompt, GOOD_CHUNK))
            token_s = min(token_s, MOST_SURPRISE * self.token_s)
        if n_prompt >= MIN_CHUNK or self.token_s <= 0:
            self.token_s = _blend(self.token_s, token_s)
        if n_decoded:
            # With a prompt, and still sooner than was thought without one.
            if seconds < self.decode_s:
                self.decode_s = _blend(self.decode_s, seconds)
            self._save(self._earned_s(min(self.decode_s, seconds)) - max(0.0, extra_s))
        else:
            self.credit_s = BURST_S

    def _save(self, seconds: float) -> None:
        """At most ``BURST_S``, but never less than a chunk's worth, or a slow model's prompt would wait for ever."""
        most_s = max(BURST_S, self._worthwhile() * self.token_s) if self.token_s > 0 else BURST_S
        self.credit_s = min(most_s, self.credit_s + seconds)

    def _earned_s(self, decode_s: float) -> float:
        """What a step of decoding allows prompts to take beside it; less where it is slower than it was without them."""
        whole_s = decode_s * self._share_now / (1 - self._share_now)
        lost_s = max(0.0, self.decode_s - self._alone_s) if self._alone_s else 0.0
        by_prompts = self._n_fed / max(1, self._n_fed + self._n_said)
        return max(whole_s - lost_s * by_prompts, LEAST_EARNED * whole_s)


def _blend(old: float, new: float) -> float:
    return new if old <= 0 else old + _WEIGHT * (new - old)
