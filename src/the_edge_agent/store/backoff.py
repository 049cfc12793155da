"""How long to wait before asking again, and when to stop asking. Pure: the caller brings chance and clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits of ``base_s``, twice that, four times ... up to ``longest_s``; ``attempts`` failures in a row end it."""

    base_s: float = 0.5
    longest_s: float = 30.0
    attempts: int = 8
    longest_retry_after_s: float = 300.0

    def delay_s(self, failures: int, chance: float, retry_after_s: float | None = None) -> float | None:
        """Seconds to wait after the ``failures``-th failure in a row; None to give up.

        ``chance`` from 0 to 1 spreads the waits of many clients over the upper half. A server's Retry-After is obeyed
        to the letter, or given up on where it asks for more than ``longest_retry_after_s``.
        """
        if failures >= self.attempts:
            return None
        if retry_after_s is not None:
            return retry_after_s if retry_after_s <= self.longest_retry_after_s else None
        full = min(self.base_s * 2 ** (failures - 1), self.longest_s)
        return full * (0.5 + chance / 2)


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (a number or a date); None where it says nothing sensible."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - now).total_seconds(), 0.0)
