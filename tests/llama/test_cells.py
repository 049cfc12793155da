"""The ledger agrees with a naive model that holds every cell by name."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import data, integers

from the_edge_agent.llama.cells import CellLedger

CAPACITY, SLOTS = 60, 5


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = CellLedger(CAPACITY)
        self.naive: dict[int, list[int]] = {}
        self.names = iter(range(10**9))

    @property
    def cells_in_use(self) -> set[int]:
        return {cell for cells in self.naive.values() for cell in cells}

    @rule(slot=integers(0, SLOTS - 1), choice=data())
    def grow(self, slot: int, choice) -> None:
        count = choice.draw(integers(0, min(20, CAPACITY - len(self.cells_in_use))))
        self.ledger.grow(slot, count)
        if count:
            self.naive.setdefault(slot, []).extend(next(self.names) for _ in range(count))

    @rule(source=integers(0, SLOTS - 1), goal=integers(0, SLOTS - 1), choice=data())
    def share(self, source: int, goal: int, choice) -> None:
        if goal in self.naive or source == goal:
            return
        length = choice.draw(integers(0, len(self.naive.get(source, []))))
        self.ledger.share(source, goal, length)
        if length:
            self.naive[goal] = self.naive[source][:length]

    @rule(slot=integers(0, SLOTS - 1), choice=data())
    def truncate(self, slot: int, choice) -> None:
        length = choice.draw(integers(0, 25))
        self.ledger.truncate(slot, length)
        kept = self.naive.pop(slot, [])[:length]
        if kept:
            self.naive[slot] = kept

    @precondition(lambda self: self.naive)
    @rule(choice=data())
    def release(self, choice) -> None:
        slot = choice.draw(integers(0, SLOTS - 1))
        self.ledger.release(slot)
        self.naive.pop(slot, None)

    @invariant()
    def every_cell_is_counted_once(self) -> None:
        assert self.ledger.used == len(self.cells_in_use)
        for slot in range(SLOTS):
            assert self.ledger.length(slot) == len(self.naive.get(slot, []))

    @rule(choice=data())
    def exclusive_cells_are_those_nobody_else_holds(self, choice) -> None:
        slots = {slot for slot in range(SLOTS) if choice.draw(integers(0, 1))}
        mine = {cell for slot in slots for cell in self.naive.get(slot, [])}
        others = {cell for slot, cells in self.naive.items() if slot not in slots for cell in cells}
        assert self.ledger.exclusive(slots) == len(mine - others)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, database=None)
