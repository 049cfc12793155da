"""One line of a benchmark: ours against a named peer, measured in the same run. Knows nothing of how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """``ratio`` is compared with ``goal`` in the direction that ``ok`` already decided; ``unit`` is that of both figures.

    A row without a peer gives ``peer`` None and is judged on ``ours`` alone. ``note`` stands behind the row.
    """

    name: str
    ours: float
    peer: float | None
    ratio: float
    goal: str
    unit: str
    ok: bool
    note: str = ""

    def __str__(self) -> str:
        peer = "-" if self.peer is None else f"{self.peer:.4g}"
        return (
            f"{self.name:<58} {self.ours:>10.4g} {peer:>10} {self.ratio:>8.3g} {self.goal:>9} "
            f"{'ok' if self.ok else 'short':<5} {self.unit}{f'  ({self.note})' if self.note else ''}"
        )


def at_least(name: str, ours: float, peer: float, goal: float, unit: str, note: str = "") -> Row:  # noqa: PLR0917
    """More is better: ok when ours/peer reaches ``goal``."""
    ratio = ours / peer
    return Row(name, ours, peer, ratio, f">={goal:g}", unit, ratio >= goal, note)


def shown(name: str, ours: float, peer: float, unit: str, note: str = "") -> Row:
    """No goal: the figure is of interest."""
    return Row(name, ours, peer, ours / peer, "shown", unit, ok=True, note=note)


def at_most(name: str, ours: float, peer: float, goal: float, unit: str) -> Row:
    """Less is better: ok when ours/peer stays within ``goal``."""
    ratio = ours / peer
    return Row(name, ours, peer, ratio, f"<={goal:g}", unit, ratio <= goal)


def limit(name: str, ours: float, bound: float, unit: str) -> Row:
    """Less is better, against a fixed bound: a budget that the project set itself."""
    return Row(name, ours, None, ours / bound, f"<={bound:g}", unit, ours <= bound)
