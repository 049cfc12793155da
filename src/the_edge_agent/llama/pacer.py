"""How many prompt tokens a step may feed. Decides from measured times alone; has no clock of its own.

Two aims: no step takes much longer than ``MAX_STEP_S`` (so that a cancel is soon seen), and while streams are running,
prefill takes at most ``share`` of the time, so that they keep the rest of their pace. Short prompts may take half: they
are in soon, and whoever sent them is waiting. Unused time is saved up to ``BURST_S``. Knows nothing of sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_STEP_S = 0.4
BURST_S = 0.05
SHORT_PROMPTS = 256
SHORT_SHARE = 0.5
MIN_CHUNK = 16
FIRST_CHUNK = 64
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

    def budget(self, *, n_decoding: int, n_pending: int) -> int:
        """Prompt tokens of ``n_pending`` that the next step may feed; 0 while credit is being saved."""
        self._share_now = max(self.share, SHORT_SHARE) if n_pending <= SHORT_PROMPTS else self.share
        if self.token_s <= 0:
            return min(FIRST_CHUNK, self.n_batch)
        longest = max(MIN_CHUNK, int(MAX_STEP_S / self.token_s))
        if n_decoding == 0:
            return min(longest, self.n_batch)
        affordable = int(self.credit_s / self.token_s + 1e-6)
        # Small chunks waste a pass over the weights each: save until a chunk costs about a decode step.
        worthwhile = max(MIN_CHUNK, min(longest, int(self.decode_s / self.token_s)))
        return min(affordable, longest, self.n_batch) if affordable >= worthwhile else 0

    def observe(self, *, n_prompt: int, n_decoded: int, seconds: float) -> None:
        """Take a step's measured time into account."""
        if n_prompt == 0:
            self.decode_s = _blend(self.decode_s, seconds)
            # Never less than a chunk's worth, or a slow model's prompt would wait for ever.
            most_s = max(BURST_S, MIN_CHUNK * self.token_s)
            self.credit_s = min(most_s, self.credit_s + self._earned_s(seconds))
            return
        extra_s = seconds - (self.decode_s if n_decoded else 0.0)
        if n_prompt >= MIN_CHUNK or self.token_s <= 0:
            self.token_s = _blend(self.token_s, max(extra_s, seconds * 0.1) / n_prompt)
        if n_decoded:
            base_s = min(self.decode_s, seconds)
            self.credit_s += self._earned_s(base_s) - max(0.0, extra_s)
        else:
            self.credit_s = BURST_S

    def _earned_s(self, decode_s: float) -> float:
        return decode_s * self._share_now / (1 - self._share_now)


def _blend(old: float, new: float) -> float:
    return new if old <= 0 else old + _WEIGHT * (new - old)
