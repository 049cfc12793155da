"""At temperature 0 the embedded model's text depends on the request alone: compared bit by bit.

The logits behind a sequence must be the same bytes whether it runs alone or among others, however its prompt was cut,
and whether its beginning was computed or copied. Small differences would not show in most texts; in bytes all of them do.
"""

from __future__ import annotations

import random

import pytest

from the_edge_agent.llama.batch import LlamaBatch
from the_edge_agent.llama.context import LlamaContext
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.params import ContextParams

N_PROMPT, N_MORE, SLOTS = 490, 40, 6  # crosses 512 cells, where another kernel takes over


class Runner:
    """Feeds a fixed sequence and keeps the logits behind each of its last tokens."""

    def __init__(self, model: LlamaModel) -> None:
        self.model = model
        chance = random.Random(5)
        n_vocab = model.vocab.n_tokens
        self.prompt = [chance.randrange(10, n_vocab) for _ in range(N_PROMPT)]
        self.more = [chance.randrange(10, n_vocab) for _ in range(N_MORE)]
        self.others = [
            [chance.randrange(10, n_vocab) for _ in range(20 + 110 * slot + N_MORE)] for slot in range(SLOTS)
        ]
        params = ContextParams(
            n_ctx=SLOTS * 1024, n_seq_max=SLOTS, n_ubatch=48, flash_attention=True, kv_unified=False
        )
        self.context = LlamaContext(model, params)
        self.batch = LlamaBatch(model.library.bindings, 512)

    def close(self) -> None:
        self.context.close()

    def feed(self, tokens: list[int], slot: int, start: int, chunk: int) -> None:
        for first in range(0, len(tokens), chunk):
            part = tokens[first : first + chunk]
            self.batch.clear()
            self.batch.extend(part, start + first, slot, n_outputs=1)
            self.context.decode(self.batch)

    def logits(self, *, slot: int = 0, chunk: int = 512, neighbours: int = 0, copied: int = 0) -> list[bytes]:
        self.context.clear()
        if copied:
            source = (slot + 1) % SLOTS
            self.feed(self.prompt[:copied], source, 0, chunk)
            self.context.copy_sequence(source, slot, copied)
        self.feed(self.prompt[copied:], slot, copied, chunk)
        slots = [other for other in range(SLOTS) if other != slot][:neighbours]
        for other in slots:
            self.feed(self.others[other][: 20 + 110 * other], other, 0, 512)
        seen = []
        for index, token in enumerate(self.more):
            self.batch.clear()
            for other in sorted([*slots, slot]):
                if other == slot:
                    row = self.batch.add(token, N_PROMPT + index, slot, output=True)
                else:
                    place = 20 + 110 * other + index
                    self.batch.add(self.others[other][place], place, other, output=True)
            self.context.decode(self.batch)
            seen.append(bytes(self.context.logits(row)))
        return seen


@pytest.fixture(scope="module")
def runner(model):
    runner = Runner(model)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def alone(runner) -> list[bytes]:
    return runner.logits()


def test_the_comparison_itself_can_tell_sequences_apart(alone):
    assert len(set(alone)) == N_MORE


@pytest.mark.parametrize("chunk", [1, 7, 32, 64])
def test_logits_do_not_depend_on_how_the_prompt_was_cut(runner, alone, chunk):
    assert runner.logits(chunk=chunk) == alone


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_logits_do_not_depend_on_neighbours(runner, alone, neighbours):
    assert runner.logits(neighbours=neighbours) == alone


@pytest.mark.parametrize("slot", [1, 5])
def test_logits_do_not_depend_on_the_slot(runner, alone, slot):
    assert runner.logits(slot=slot, neighbours=2) == alone


@pytest.mark.parametrize("copied", [32, 64, 489])
def test_logits_do_not_depend_on_whether_the_prefix_was_copied(runner, alone, copied):
    assert runner.logits(copied=copied, neighbours=2, slot=2) == alone
