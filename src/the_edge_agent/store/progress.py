"""What a person is shown while bytes arrive: one bar that never runs backwards. Pure; the caller brings the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["waiting", "fetching", "checking", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a transfer. ``phase`` waiting means that another process is fetching the same file."""

    file: str
    phase: Phase
    done_bytes: int
    total_bytes: int
    rate_bytes_s: float = 0.0
    eta_s: float | None = None


OnProgress: TypeAlias = Callable[[Progress], None]


class ProgressMeter:
    """Turns byte counts into Progress: smooths the rate, never lets ``done_bytes`` fall (a chunk fetched again)."""

    _SMOOTHING = 0.3

    def __init__(self, file: str, total_bytes: int, *, done_bytes: int, now_s: float) -> None:
        self._file = file
        self._total = total_bytes
        self._done = min(done_bytes, total_bytes)
        self._measured_bytes = self._done
        self._measured_s = now_s
        self._rate = 0.0

    def at(self, phase: Phase, done_bytes: int, now_s: float) -> Progress:
        """The next moment."""
        self._done = max(self._done, min(done_bytes, self._total))
        elapsed_s = now_s - self._measured_s
        if elapsed_s >= 0.2:
            rate = (self._done - self._measured_bytes) / elapsed_s
            self._rate = rate if self._rate == 0 else self._rate + self._SMOOTHING * (rate - self._rate)
            self._measured_bytes, self._measured_s = self._done, now_s
        left = self._total - self._done
        eta_s = left / self._rate if self._rate > 0 else None
        return Progress(self._file, phase, self._done, self._total, self._rate, 0.0 if left == 0 else eta_s)


def ignore_progress(progress: Progress) -> None:
    """Show nothing."""
