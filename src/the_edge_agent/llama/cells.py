"""Who holds which cells of a unified KV cache: exact counts when sequences share prefixes. Pure bookkeeping.

A sequence's positions are runs of cells; a run that several sequences share is counted once. Sharing a prefix splits a
run where the prefix ends. Knows nothing of tokens or of libllama.
"""

from __future__ import annotations


class _Run:
    """Consecutive positions in cells of their own; ``holders`` are the slots that see them."""

    __slots__ = ("holders", "length")

    def __init__(self, length: int, holders: set[int]) -> None:
        self.length = length
        self.holders = holders


class CellLedger:
    """``capacity`` cells; slots grow, share, shrink and go. Asking for more than is free is a caller's error."""

    __slots__ = ("_runs", "capacity", "used")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._runs: dict[int, list[_Run]] = {}

    @property
    def free(self) -> int:
        """Cells that nobody holds."""
        return self.capacity - self.used

    def length(self, slot: int) -> int:
        """Positions that a slot sees; 0 for an unknown one."""
        return sum(run.length for run in self._runs.get(slot, ()))

    def exclusive(self, slots: set[int]) -> int:
        """Cells that would be free if these slots went."""
        seen: dict[int, int] = {}
        for slot in slots:
            for run in self._runs.get(slot, ()):
                if run.holders <= slots:
                    seen[id(run)] = run.length
        return sum(seen.values())

    def grow(self, slot: int, cells: int) -> None:
        """Give a slot ``cells`` more positions."""
        assert 0 <= cells <= self.free, (cells, self.free)
        if not cells:
            return
        runs = self._runs.setdefault(slot, [])
        if runs and len(runs[-1].holders) == 1:
            runs[-1].length += cells
        else:
            runs.append(_Run(cells, {slot}))
        self.used += cells

    def share(self, source: int, target: int, length: int) -> None:
        """Let an empty ``target`` see the first ``length`` positions of ``source``; takes no cells."""
        assert target not in self._runs
        assert length <= self.length(source)
        if length:
            self._split(source, length)
            shared = self._take(source, length)
            for run in shared:
                run.holders.add(target)
            self._runs[target] = shared

    def truncate(self, slot: int, length: int) -> None:
        """Drop a slot's positions from ``length`` on."""
        if length >= self.length(slot):
            return
        self._split(slot, length)
        kept = self._take(slot, length)
        for run in self._runs[slot][len(kept) :]:
            self._drop(run, slot)
        if kept:
            self._runs[slot] = kept
        else:
            del self._runs[slot]

    def release(self, slot: int) -> None:
        """Drop all of a slot."""
        for run in self._runs.pop(slot, ()):
            self._drop(run, slot)

    def _drop(self, run: _Run, slot: int) -> None:
        run.holders.discard(slot)
        if not run.holders:
            self.used -= run.length

    def _take(self, slot: int, length: int) -> list[_Run]:
        """The runs that make up the first ``length`` positions; a run ends there exactly."""
        taken: list[_Run] = []
        for run in self._runs[slot]:
            if length <= 0:
                break
            taken.append(run)
            length -= run.length
        return taken

    def _split(self, slot: int, position: int) -> None:
        """Make a run end at ``position``, for every holder of it."""
        for run in self._runs[slot]:
            if position <= 0:
                return
            if position < run.length:
                tail = _Run(run.length - position, set(run.holders))
                run.length = position
                for holder in run.holders:
                    runs = self._runs[holder]
                    runs.insert(runs.index(run) + 1, tail)
                return
            position -= run.length
