"""Decides what the next decode holds: whom to admit, whose prefix to share, whom to preempt. Runs nothing.

Work is a sequence of tokens of which the first ``done`` are in the KV cache; the rest is pending. A sequence with one
pending token decodes, one with more prefills. The rules, in order:

1. Sequences that decode come first, one row each. If cells are short, cached sequences go, least recently used first;
   then the youngest sequence is preempted: it loses its cells and queues again in front, with all it has emitted.
2. Waiting sequences are admitted in order, each as soon as a slot and cells for all its tokens can be had. One whose
   prefix a running sequence is about to compute waits for it and shares it.
3. Pending prompts are fed up to the step's prefill budget: short ones first, but a quarter is kept for long ones, so
   that neither waits for the other; among their like in order of admission. A span holds tokens or rows of one image,
   never both; an image that must be fed whole is, whatever the budget.

A finished sequence stays cached, up to ``cache_cells`` in all, until its slot or its cells are needed. Knows nothing of
time, text, samplers or libllama.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from the_edge_agent.llama.cells import CellLedger
from the_edge_agent.llama.images import PlacedImage, run_length
from the_edge_agent.llama.prefix import common_prefix

#: A prefix shorter than this is cheaper to compute than to wait for.
MIN_PREFIX_TO_WAIT_FOR = 16
#: Prompts with at most this many tokens to feed are short: whoever sent them is waiting.
SHORT_PROMPT = 256
#: Of a step's prefill budget, one part in this many is for long prompts, however many short ones come.
LONG_PROMPTS_PART = 4
#: Where a prefix is copied cell by cell, a shorter one is cheaper to compute.
MIN_PREFIX_TO_COPY = 32


@dataclass(frozen=True, slots=True)
class CopyPrefix:
    """Let slot ``target`` see the first ``length`` positions of slot ``source``."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class CutSlot:
    """Drop the positions of ``slot`` from ``length`` on."""

    slot: int
    length: int


Operation: TypeAlias = CopyPrefix | CutSlot


@dataclass(slots=True)
class Work:
    """A sequence as the scheduler sees it. ``tokens`` grows as tokens are emitted; ``n_outputs`` last tokens of what is
    pending give logits.
    """

    id: int
    tokens: list[int]
    slot: int = -1
    done: int = 0
    cached: int = 0
    """Tokens that were found in the cache when it was first admitted."""
    to_feed: int = 0
    """Tokens that were not, when it was last admitted."""
    n_outputs: int = 1
    admitted: bool = False
    images: tuple[PlacedImage, ...] = ()
    """Where ``tokens`` holds placeholders; the last token never is one."""

    @property
    def pending(self) -> int:
        """Tokens that are not in the KV cache yet."""
        return len(self.tokens) - self.done

    @property
    def short(self) -> bool:
        """Whether its prompt goes in before those of others."""
        return self.to_feed <= SHORT_PROMPT


@dataclass(frozen=True, slots=True)
class Span:
    """``count`` tokens of a sequence, from position ``start``, as consecutive rows of the batch."""

    work: Work
    start: int
    count: int

    @property
    def completes(self) -> bool:
        """Whether this feeds the last pending token, so that a token can be sampled."""
        return self.start + self.count == len(self.work.tokens)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: operations first, then one decode of the spans' tokens."""

    operations: tuple[Operation, ...]
    spans: tuple[Span, ...]
    preempted: tuple[int, ...] = ()

    @property
    def n_tokens(self) -> int:
        """Rows of the decode."""
        return sum(span.count for span in self.spans)


@dataclass(slots=True)
class _Cached:
    tokens: list[int]
    last_used: int


@dataclass(slots=True)
class Scheduler:
    """The state that decisions are made on. One thread."""

    n_slots: int
    n_cells: int
    n_batch: int
    cache_cells: int = 0
    can_share: bool = True
    """False for recurrent memory, which can neither be cut nor copied in part."""
    unified: bool = True
    """False where every slot has cells of its own (``n_cells / n_slots``): a shared prefix is then a real copy."""
    _waiting: deque[Work] = field(default_factory=deque[Work])
    _running: list[Work] = field(default_factory=list[Work])
    _cached: dict[int, _Cached] = field(default_factory=dict[int, _Cached])
    _free_slots: list[int] = field(default_factory=list[int])
    _operations: list[Operation] = field(default_factory=list[Operation])
    _ledger: CellLedger = field(default_factory=lambda: CellLedger(0))
    _clock: int = 0

    def __post_init__(self) -> None:
        self._free_slots = list(range(self.n_slots))
        self._ledger = CellLedger(self.n_cells)

    # --- what callers tell -----------------------------------------------------------------------------------------

    def add(self, work: Work) -> None:
        """Queue a sequence. It must fit: ``len(tokens) < n_cells``."""
        self._waiting.append(work)

    def remove(self, work: Work) -> None:
        """Forget a sequence at once, wherever it is; its cells are free for the next step."""
        if work.slot >= 0:
            self._running.remove(work)
            self._drop_slot(work.slot)
            work.slot = -1
        elif work in self._waiting:
            self._waiting.remove(work)

    def finish(self, work: Work) -> None:
        """A sequence is complete; what it has in the KV cache stays as a cached prefix."""
        self._running.remove(work)
        slot, work.slot = work.slot, -1
        if not self.can_share or (self.unified and self.cache_cells <= 0) or not work.done:
            self._drop_slot(slot)
            return
        self._clock += 1
        self._cached[slot] = _Cached(work.tokens[: work.done], self._clock)
        self._trim_cache()

    def commit(self, step: Step) -> None:
        """The step's tokens are in the KV cache now."""
        for span in step.spans:
            span.work.done = span.start + span.count

    def cut(self, work: Work, length: int) -> None:
        """Drop a running sequence's tokens and cells from ``length`` on (drafts that were refused)."""
        del work.tokens[length:]
        if work.done > length:
            work.done = length
            self._ledger.truncate(work.slot, length)
            self._operations.append(CutSlot(work.slot, length))

    def give_back(self, step: Step) -> None:
        """The decode found no room: undo its growth and drop every cached sequence; with none left, preempt."""
        for span in step.spans:
            self._ledger.truncate(span.work.slot, span.start)
        if self._cached:
            for slot in list(self._cached):
                self._evict(slot)
        elif len(self._running) > 1:
            self._preempt(self._running[-1])

    # --- what callers ask ------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing to do."""
        return not self._waiting and not self._running

    @property
    def n_decoding(self) -> int:
        """Sequences that have only their last token pending."""
        return sum(1 for work in self._running if work.pending <= work.n_outputs)

    @property
    def pending_prompts(self) -> tuple[int, ...]:
        """Sizes of the prompts that are being fed, without what was found in the cache; short ones first."""
        works = _short_first([work for work in self._running if work.pending > work.n_outputs])
        return tuple(work.to_feed for work in works)

    @property
    def n_waiting(self) -> int:
        """Sequences without a slot."""
        return len(self._waiting)

    @property
    def used_cells(self) -> int:
        """Cells in use, cached sequences included."""
        return self._ledger.used

    def forget_cached(self) -> None:
        """Drop every cached sequence."""
        for slot in list(self._cached):
            self._evict(slot)

    def admit(self) -> None:
        """Give slots to those that wait, as far as there is room; ``plan`` does so, too."""
        while self._waiting:
            work = self._waiting[0]
            source, length = self._best_prefix(work.tokens)
            if not work.admitted and self._soon_shared(work, length):
                return
            if not self._free_slots and not self._cached:
                return
            promised = sum(other.pending for other in self._running)
            reclaimable = self._ledger.exclusive(set(self._cached) - {source})
            if len(work.tokens) - length + promised > self._ledger.free + reclaimable and self._running:
                return
            self._waiting.popleft()
            self._place(work, source, length)

    def plan(self, prefill_budget: int) -> Step:
        """The next step; feeds at most ``prefill_budget`` prompt tokens beside those that decode."""
        preempted: list[int] = []
        spans = self._plan_decoding(preempted)
        self.admit()
        self._plan_prefill(spans, prefill_budget)
        while not spans and prefill_budget > 0 and len(self._running) > 1:
            preempted.append(self._running[-1].id)  # prompts that block each other: the youngest steps back
            self._preempt(self._running[-1])
            self._plan_prefill(spans, prefill_budget)
        if not self.unified:
            spans.sort(key=lambda span: span.work.slot)  # neighbours in memory are computed together
        operations, self._operations = tuple(self._operations), []
        return Step(operations, tuple(spans), tuple(preempted))

    # --- decisions -------------------------------------------------------------------------------------------------

    def _plan_decoding(self, preempted: list[int]) -> list[Span]:
        spans: list[Span] = []
        for work in list(self._running):
            if work.slot < 0 or not 0 < work.pending <= work.n_outputs:
                continue
            if sum(span.count for span in spans) + work.pending > self.n_batch:
                break
            while not self._make_room(work.pending):
                fed = {id(span.work) for span in spans}
                victim = next((other for other in reversed(self._running) if id(other) not in fed), work)
                preempted.append(victim.id)
                self._preempt(victim)
                if victim is work:
                    break
            if work.slot >= 0:
                spans.append(self._feed(work, work.pending))
        return spans

    def _plan_prefill(self, spans: list[Span], budget: int) -> None:
        room = min(budget, self.n_batch - sum(span.count for span in spans))
        fed = {id(span.work) for span in spans}
        works = _short_first(
            [
                work
                for work in self._running
                # drafts are judged whole, by the rows of one decode
                if work.pending and id(work) not in fed and not 1 < work.n_outputs >= work.pending
            ]
        )
        kept = room // LONG_PROMPTS_PART if works and not works[-1].short else 0
        for work in works:
            count = min(work.pending, room - kept if work.short else room)
            if count <= 0:
                if work.short:
                    continue
                return
            if work.images:
                count = run_length(work.images, work.done, count)
            if not self._make_room(count):
                return
            spans.append(self._feed(work, count))
            room -= count

    def _feed(self, work: Work, count: int) -> Span:
        self._ledger.grow(work.slot, count)
        return Span(work, work.done, count)

    def _place(self, work: Work, source: int, length: int) -> None:
        """Give a sequence a slot, with the prefix that is there already."""
        if source in self._cached and (length == len(self._cached[source].tokens) or not self._free_slots):
            slot = source  # goes on where the cached one ended: nothing to copy
            del self._cached[slot]
            if self._ledger.length(slot) > length:
                self._ledger.truncate(slot, length)
                self._operations.append(CutSlot(slot, length))
        else:
            if not self._free_slots:
                self._evict(self._oldest_cached(except_slot=source))
            slot = heapq.heappop(self._free_slots)
            if length:
                if self.unified:
                    self._ledger.share(source, slot, length)
                else:
                    self._ledger.grow(slot, length)
                self._operations.append(CopyPrefix(source, slot, length))
                if source in self._cached:
                    self._clock += 1
                    self._cached[source].last_used = self._clock
        work.slot, work.done, work.to_feed = slot, length, len(work.tokens) - length
        if not work.admitted:
            work.admitted, work.cached = True, length
        self._running.append(work)

    def _best_prefix(self, tokens: list[int]) -> tuple[int, int]:
        """The slot that has most of the beginning of ``tokens``, and how much; the last token is always fed anew."""
        best, best_length = -1, 0 if self.unified else MIN_PREFIX_TO_COPY - 1
        if not self.can_share:
            return -1, 0
        limit = len(tokens) - 1
        for slot, cached in self._cached.items():
            length = common_prefix(cached.tokens, tokens, limit)
            if length > best_length:
                best, best_length = slot, length
        for work in self._running:
            length = common_prefix(work.tokens, tokens, min(limit, work.done))
            if length > best_length:
                best, best_length = work.slot, length
        return (best, best_length) if best >= 0 else (-1, 0)

    def _soon_shared(self, work: Work, have: int) -> bool:
        """Whether a running sequence is going to compute notably more of this one's prefix than is there now."""
        if not self.can_share:
            return False
        limit = len(work.tokens) - 1
        return any(
            other.pending > other.n_outputs
            and common_prefix(other.tokens, work.tokens, limit)
            >= max(have, other.done) + MIN_PREFIX_TO_WAIT_FOR
            for other in self._running
        )

    def _make_room(self, cells: int) -> bool:
        while self._ledger.free < cells and self._cached:
            self._evict(self._oldest_cached())
        return self._ledger.free >= cells

    def _trim_cache(self) -> None:
        while self.unified and self._cached and self._ledger.exclusive(set(self._cached)) > self.cache_cells:
            self._evict(self._oldest_cached())

    def _oldest_cached(self, except_slot: int = -1) -> int:
        candidates = [slot for slot in self._cached if slot != except_slot] or list(self._cached)
        return min(candidates, key=lambda slot: self._cached[slot].last_used)

    def _evict(self, slot: int) -> None:
        del self._cached[slot]
        self._drop_slot(slot)

    def _preempt(self, work: Work) -> None:
        del work.tokens[
            len(work.tokens) - work.n_outputs + 1 :
        ]  # drafts are guesses: not worth coming back for
        work.n_outputs = 1
        self._running.remove(work)
        self._drop_slot(work.slot)
        work.slot, work.done = -1, 0
        self._waiting.appendleft(work)

    def _drop_slot(self, slot: int) -> None:
        self._ledger.release(slot)
        heapq.heappush(self._free_slots, slot)
        self._operations.append(CutSlot(slot, 0))


def _short_first(works: list[Work]) -> list[Work]:
    """The order in which prompts are fed."""
    return sorted(works, key=lambda work: not work.short)
