"""The scheduler's promises, held against any traffic that hypothesis can think of.

The cache is modelled as what it is: for each slot the tokens that were fed to it. Every row of every step must be the
next token of its sequence at its place behind the right tokens.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, lists, randoms, tuples

from the_edge_agent.llama.prefix import common_prefix
from the_edge_agent.llama.scheduler import CopyPrefix, CutSlot, Scheduler, Step, Work


class Cache:
    """What libllama would hold, fed by steps; complains about what libllama would choke on."""

    def __init__(self, n_slots: int, n_cells: int, *, unified: bool) -> None:
        self.slots: dict[int, list[tuple[int, int]]] = {slot: [] for slot in range(n_slots)}
        self.n_slots, self.n_cells, self.unified = n_slots, n_cells, unified
        self.cells = iter(range(10**9))

    def run(self, step: Step) -> None:
        for operation in step.operations:
            if isinstance(operation, CopyPrefix):
                assert not self.slots[operation.target], "a copy into a slot that isn't empty"
                assert len(self.slots[operation.source]) >= operation.length
                prefix = self.slots[operation.source][: operation.length]
                self.slots[operation.target] = (
                    prefix if self.unified else [(token, next(self.cells)) for token, _ in prefix]
                )
            else:
                assert isinstance(operation, CutSlot)
                del self.slots[operation.slot][operation.length :]
        for span in step.spans:
            held = self.slots[span.work.slot]
            assert [token for token, _ in held] == span.work.tokens[: span.start], (
                "rows behind the wrong tokens"
            )
            fed = span.work.tokens[span.start : span.start + span.count]
            held.extend((token, next(self.cells)) for token in fed)
        if self.unified:
            assert len({cell for held in self.slots.values() for _, cell in held}) <= self.n_cells
        else:
            assert max(map(len, self.slots.values())) <= self.n_cells // self.n_slots


def drive(
    scheduler: Scheduler, cache: Cache, works: list[tuple[Work, int]], chance: random.Random
) -> dict[int, list[int]]:
    """Run until idle, adding works at random moments; a work ends after its number of tokens. Returns what was fed."""
    todo, left = list(works), {work.id: count for work, count in works}
    outputs: dict[int, list[int]] = {work.id: [] for work, _ in works}
    for _ in range(100_000):
        while todo and (scheduler.idle or chance.random() < 0.3):
            scheduler.add(todo.pop(0)[0])
        if scheduler.idle and not todo:
            return outputs
        step = scheduler.plan(
            chance.choice([1, 7, 64]) if chance.random() < 0.8 or scheduler.n_decoding == 0 else 0
        )
        assert step.n_tokens <= scheduler.n_batch
        assert len({span.work.id for span in step.spans}) == len(step.spans), "one span a sequence"
        cache.run(step)
        scheduler.commit(step)
        for span in step.spans:
            if not span.completes:
                continue
            work = span.work
            n_drafts = work.n_outputs - 1
            assert span.count >= work.n_outputs, "drafts are judged by the rows of one decode"
            base = len(work.tokens) - n_drafts
            hits = chance.randint(0, min(n_drafts, left[work.id] - 1))
            outputs[work.id] += work.tokens[base : base + hits]
            if n_drafts:
                scheduler.cut(work, base + hits)
                work.n_outputs = 1
            token = len(outputs[work.id]) + 1000 * work.id
            outputs[work.id].append(token)
            left[work.id] -= hits + 1
            if left[work.id] == 0:
                scheduler.finish(work)
            else:
                work.tokens.append(token)
                if chance.random() < 0.4:
                    drafts = [-chance.randint(1, 9) for _ in range(min(chance.randint(1, 5), left[work.id]))]
                    work.tokens += drafts
                    work.n_outputs = 1 + len(drafts)
    raise AssertionError("the scheduler never came to an end")


prompts = lists(tuples(integers(0, 2), integers(1, 30), integers(1, 12)), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None, database=None)
@given(prompts, integers(1, 5), integers(0, 40), booleans(), booleans(), randoms(use_true_random=False))
def test_every_sequence_ends_and_every_row_stands_behind_the_right_tokens(  # noqa: PLR0917
    shapes, n_slots, cache_cells, unified, can_share, chance
):
    n_ctx = 64
    n_cells = n_ctx if unified else n_ctx * n_slots
    scheduler = Scheduler(n_slots, n_cells, 16, cache_cells=cache_cells, can_share=can_share, unified=unified)
    works = []
    for number, (family, length, n_out) in enumerate(shapes):
        # Prompts of a family share their beginning; the last token is their own.
        works.append((Work(number, [family] * (length - 1) + [100 + number]), n_out))
    outputs = drive(scheduler, Cache(n_slots, n_cells, unified=unified), works, chance)
    assert {number: len(out) for number, out in outputs.items()} == {
        number: n_out for number, (_, _, n_out) in enumerate(shapes)
    }


@settings(max_examples=60, deadline=None, database=None)
@given(integers(1, 40), integers(1, 40))
def test_common_prefix_finds_the_first_difference(length, difference):
    left = list(range(length))
    right = list(left)
    if difference < length:
        right[difference] = -1
    assert common_prefix(left, right, 1000) == min(difference, length)


def step_until_decoding(scheduler: Scheduler, work: Work) -> None:
    while work.done < len(work.tokens):
        scheduler.commit(scheduler.plan(512))
    work.tokens.append(7)


def make(n_slots: int = 4, n_cells: int = 256, **options) -> Scheduler:
    return Scheduler(n_slots, n_cells, 64, **{"cache_cells": 256, **options})


def test_sixteen_branches_over_one_prefix_prefill_it_once():
    scheduler = make(n_slots=16, n_cells=2000)
    prefix = list(range(1000))
    for branch in range(16):
        scheduler.add(Work(branch, [*prefix, 5000 + branch]))
    fed = 0
    while any(work.pending for work in scheduler._running) or scheduler.n_waiting:
        step = scheduler.plan(64)
        fed += step.n_tokens
        scheduler.commit(step)
    assert fed == len(prefix) + 16


def test_decoding_sequences_are_fed_before_any_prompt():
    scheduler = make()
    running = Work(1, [1, 2, 3])
    scheduler.add(running)
    step_until_decoding(scheduler, running)
    scheduler.add(Work(2, list(range(200, 300))))
    step = scheduler.plan(512)
    assert [(span.work.id, span.count) for span in step.spans] == [(1, 1), (2, 63)]


def test_without_a_prefill_budget_only_decoding_goes_on():
    scheduler = make()
    running = Work(1, [1, 2, 3])
    scheduler.add(running)
    step_until_decoding(scheduler, running)
    scheduler.add(Work(2, list(range(200, 300))))
    assert [span.work.id for span in scheduler.plan(0).spans] == [1]


def test_a_finished_conversation_goes_on_in_its_own_slot_without_prefilling_what_was_said():
    scheduler = make()
    first = Work(1, list(range(50)))
    scheduler.add(first)
    step_until_decoding(scheduler, first)
    slot = first.slot
    scheduler.finish(first)
    second = Work(2, [*range(50), 900, 901])
    scheduler.add(second)
    step = scheduler.plan(512)
    assert (second.slot, second.cached, step.n_tokens, step.operations) == (slot, 50, 2, ())


def test_cached_sequences_go_before_a_running_one_is_touched():
    scheduler = make(n_slots=4, n_cells=64)
    old = Work(1, list(range(40)))
    scheduler.add(old)
    step_until_decoding(scheduler, old)
    scheduler.finish(old)
    assert scheduler.used_cells == 40
    running = Work(2, list(range(100, 160)))
    scheduler.add(running)
    step = scheduler.plan(512)
    assert step.preempted == ()
    assert step.n_tokens == 60
    assert scheduler.used_cells == 60


def test_the_youngest_is_preempted_and_keeps_its_place_in_front_of_the_queue():
    scheduler = make(n_slots=4, n_cells=64, cache_cells=0)
    old, young = Work(1, list(range(28))), Work(2, list(range(100, 128)))
    for work in (old, young):
        scheduler.add(work)
        step_until_decoding(scheduler, work)
    scheduler.add(Work(3, list(range(200, 220))))
    preempted: list[int] = []
    while not preempted:
        step = scheduler.plan(0)
        scheduler.commit(step)
        preempted += step.preempted
        for span in step.spans:
            span.work.tokens.append(7)
    assert preempted == [2]
    assert young.slot == -1
    assert scheduler._waiting[0] is young
    assert len(young.tokens) > 29  # nothing that was emitted is lost


def test_a_removed_sequence_frees_its_cells_for_the_very_next_step():
    scheduler = make(n_slots=1, n_cells=64)
    first = Work(1, list(range(60)))
    scheduler.add(first)
    step_until_decoding(scheduler, first)
    second = Work(2, list(range(100, 160)))
    scheduler.add(second)
    assert [span.work.id for span in scheduler.plan(512).spans] == [1]
    scheduler.remove(first)
    assert [span.work.id for span in scheduler.plan(512).spans] == [2]


def test_refused_drafts_are_cut_from_tokens_and_cells():
    scheduler = make()
    work = Work(1, [1, 2, 3])
    scheduler.add(work)
    step_until_decoding(scheduler, work)
    work.tokens += [8, 9]
    work.n_outputs = 3
    scheduler.commit(scheduler.plan(0))
    scheduler.cut(work, 4)
    assert (work.tokens, work.done) == ([1, 2, 3, 7], 4)
    work.tokens.append(11)
    step = scheduler.plan(0)
    assert step.operations == (CutSlot(work.slot, 4),)
    assert [(span.start, span.count) for span in step.spans] == [(4, 1)]


def test_a_decode_that_found_no_room_is_undone_and_makes_some():
    scheduler = make()
    cached = Work(1, list(range(40)))
    scheduler.add(cached)
    step_until_decoding(scheduler, cached)
    scheduler.finish(cached)
    work = Work(2, list(range(100, 120)))
    scheduler.add(work)
    step = scheduler.plan(512)
    scheduler.give_back(step)
    assert scheduler.used_cells == 0
    again = scheduler.plan(512)
    assert [(span.work.id, span.start, span.count) for span in again.spans] == [(2, 0, 20)]


@pytest.mark.parametrize("unified", [True, False])
def test_a_short_common_beginning_is_only_copied_where_copying_is_free(unified):
    scheduler = make(unified=unified)
    first = Work(1, [1, 2, 3, 4, 5])
    scheduler.add(first)
    step_until_decoding(scheduler, first)
    second = Work(2, [1, 2, 3, 9, 9])
    scheduler.add(second)
    scheduler.plan(512)
    assert second.cached == (3 if unified else 0)
