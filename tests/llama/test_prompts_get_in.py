"""Pacer and scheduler together: whatever comes, every prompt gets in, soon, and no step is idle while there is work."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, sampled_from

from the_edge_agent.llama.pacer import Pacer
from the_edge_agent.llama.scheduler import SHORT_PROMPT, Scheduler, Work

TOKEN_S, DECODE_S = 0.001, 0.05
N_CTX = 2048
MOST_SHORT, MOST_LONG = 40, 700


@dataclass
class Machine:
    """What the loop does, with simulated times; ``in_slot`` counts the steps that a prompt has been in a slot."""

    scheduler: Scheduler
    pacer: Pacer = field(default_factory=lambda: Pacer(512))
    left: dict[int, int] = field(default_factory=dict[int, int])
    in_slot: dict[int, int] = field(default_factory=dict[int, int])
    whole: dict[int, int] = field(default_factory=dict[int, int])
    empty: int = 0

    def add(self, length: int, n_out: int, *, family: int = 0) -> Work:
        number = len(self.left)
        work = Work(number, [family] * (length - 1) + [1000 + number])
        self.left[number] = n_out
        self.scheduler.add(work)
        return work

    def step(self, *, slowness: float = 1.0) -> float:
        """The seconds it took."""
        scheduler = self.scheduler
        scheduler.admit()
        budget = self.pacer.budget(n_decoding=scheduler.n_decoding, prompts=scheduler.pending_prompts)
        step = scheduler.plan(budget)
        self.empty = 0 if step.spans or scheduler.idle else self.empty + 1
        assert self.empty < 3, "nothing is fed, and there is something to feed"
        if not step.spans:
            return 0.0
        scheduler.commit(step)
        n_decoded = 0
        for span in step.spans:
            work = span.work
            if work.id not in self.whole:
                self.in_slot[work.id] = self.in_slot.get(work.id, 0)
            if not span.completes:
                continue
            n_decoded += work.id in self.whole
            self.whole.setdefault(work.id, self.in_slot[work.id])
            self.left[work.id] -= 1
            if self.left[work.id] <= 0:
                scheduler.finish(work)
            else:
                work.tokens.append(7)
        for work in scheduler._running:
            if work.id not in self.whole:
                self.in_slot[work.id] = self.in_slot.get(work.id, 0) + 1
        n_prompt = step.n_tokens - n_decoded
        seconds = (DECODE_S * (n_decoded > 0) + TOKEN_S * n_prompt) * slowness
        self.pacer.observe(n_prompt=n_prompt, n_decoded=n_decoded, seconds=seconds)
        return seconds


def machine(n_slots: int = 8, *, unified: bool = True, n_cells: int = 8 * N_CTX) -> Machine:
    return Machine(Scheduler(n_slots, n_cells, 512, cache_cells=2048, unified=unified))


def talking(machine: Machine, streams: int = 1) -> Machine:
    """With streams that have talked for a while and don't stop."""
    for number in range(streams):
        machine.add(100 + number, 1000, family=-number)
    for _ in range(60):
        machine.step()
    assert machine.scheduler.n_decoding == streams
    return machine


@settings(max_examples=60, deadline=None, database=None)
@given(
    integers(2, 6),
    booleans(),
    sampled_from([0.02, 0.3, 1.0]),
    sampled_from([0.0, 0.02]),
    sampled_from([1, 2]),
    integers(0, 1_000_000),
)
def test_every_prompt_is_whole_within_a_bounded_number_of_steps(  # noqa: PLR0917
    n_slots, unified, traffic, hiccups, crowding, seed
):
    """Streams, short and long prompts in any mix, cells that run out, and steps that take a thousand times too long."""
    chance = random.Random(seed)
    loaded = machine(n_slots, unified=unified, n_cells=n_slots * N_CTX // (crowding if unified else 1))
    longs: set[int] = set()
    for step in range(20_000):
        if step < 600 and loaded.scheduler.n_waiting < 20 and chance.random() < traffic:
            long = chance.random() < 0.2
            length = chance.randint(SHORT_PROMPT + 1, 1500) if long else chance.randint(1, SHORT_PROMPT)
            work = loaded.add(length, chance.choice([1, 5, 300]), family=chance.randint(0, 3))
            if long:
                longs.add(work.id)
        if step >= 600 and loaded.scheduler.idle:
            break
        loaded.step(slowness=1000.0 if chance.random() < hiccups else 1.0)
    assert loaded.whole.keys() == loaded.left.keys()
    assert (
        max((steps for number, steps in loaded.whole.items() if number not in longs), default=0) <= MOST_SHORT
    )
    assert max((steps for number, steps in loaded.whole.items() if number in longs), default=0) <= MOST_LONG


@pytest.mark.parametrize("streams", [0, 1, 3])
def test_a_short_prompt_does_not_wait_for_a_long_one(streams):
    busy = talking(machine(), streams)
    long = busy.add(1800, 5, family=8)
    for _ in range(3):
        busy.step()
    assert long.done < 1800
    short = busy.add(100, 5, family=9)
    for _ in range(6):
        busy.step()
    assert short.id in busy.whole
    assert long.id not in busy.whole


@pytest.mark.parametrize("streams", [0, 1, 3])
def test_a_long_prompt_does_not_wait_for_short_ones_without_end(streams):
    busy = talking(machine(), streams)
    long = busy.add(1800, 5, family=8)
    steps = 0
    while long.id not in busy.whole:
        steps += 1
        assert steps < 400
        for _ in range(4 - min(4, busy.scheduler.n_waiting)):
            busy.add(200, 1, family=10 + len(busy.left))
        busy.step()


def test_a_step_that_took_absurdly_long_is_not_paid_for_by_the_prompts_behind_it():
    busy = talking(machine())
    busy.add(200, 5, family=8)
    busy.step(slowness=2000.0)
    late = busy.add(200, 5, family=9)
    for _ in range(60):
        busy.step()
    assert late.id in busy.whole


def test_streams_keep_their_pace_beside_a_long_prompt_while_short_ones_wait_for_a_slot():
    busy = talking(machine(4), 3)
    long = busy.add(1800, 5, family=8)
    for number in range(20):
        busy.add(200, 5, family=10 + number)
    elapsed = decoding = 0.0
    while long.id not in busy.whole:
        elapsed += busy.step()
        decoding += DECODE_S
    assert decoding / elapsed > 0.78
