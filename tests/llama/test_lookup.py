"""Drafts change when tokens come, never which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists
from tests.llama.collected import chat_ids, start

from the_edge_agent.inference import SamplingParams
from the_edge_agent.llama.drafts import LONGEST_PAUSE, DraftPace, Drafts
from the_edge_agent.llama.generator import Generator
from the_edge_agent.llama.lookup import PromptLookup, find_continuation
from the_edge_agent.llama.stream import GenerationRequest

TEXTS = [
    "Repeat: the green river runs past the old stone house and the garden",
    "Repeat after me: blue dragon blue dragon blue dragon",
    "Uppercase: river stone garden",
    "What is 2+2?",
    "Who are you?",
]


@given(lists(integers(0, 3), max_size=30), integers(1, 6))
def test_a_draft_is_what_followed_the_same_tokens_before(tokens, length):
    draft = find_continuation(tokens, length)
    if draft:
        assert any(
            tokens[end - 2 : end] == tokens[-2:] and tokens[end : end + len(draft)] == draft
            for end in range(2, len(tokens))
        )
    assert len(draft) <= length


def test_the_latest_and_longest_repetition_is_taken():
    assert find_continuation([1, 2, 3, 9, 5, 2, 3, 8, 1, 2, 3], 1) == [9]
    assert find_continuation([2, 3, 9, 5, 2, 3, 8, 7, 2, 3], 2) == [8, 7]
    assert find_continuation([1, 2, 3], 4) == []


def test_drafts_grow_while_they_hit_and_pause_when_they_miss():
    tokens = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2]
    drafts = Drafts(8, PromptLookup())
    assert len(drafts.draft(tokens, 99)) == 3
    drafts.learn(3, 3)
    assert len(drafts.draft(tokens, 99)) == 6
    assert len(drafts.draft(tokens, 2)) == 2
    drafts.learn(6, 0)
    assert drafts.draft(tokens, 99) == []
    assert len(drafts.draft(tokens, 99)) == 3
    pace = DraftPace(8)
    for _ in range(20):
        pace.learn(3, 0)
    assert [pace.ask() for _ in range(LONGEST_PAUSE + 1)] == [0] * LONGEST_PAUSE + [3]


def test_a_source_that_pauses_leaves_the_word_to_the_next():
    class Always:
        def draft(self, tokens, length):
            return [7] * length

    drafts = Drafts(4, PromptLookup(), Always())
    assert drafts.draft([1, 2, 3], 99) == [7, 7, 7]
    drafts.learn(3, 0)
    assert drafts.draft([1, 2, 9, 1, 2], 99) == [9, 1, 2]
    assert drafts.draft([1, 2, 3], 99) == []  # its pause
    assert drafts.draft([1, 2, 3], 99) == [7, 7, 7]


@pytest.mark.parametrize(
    "fields", [{}, {"temperature": 1.2, "seed": 5}, {"stop": ("green",)}, {"max_tokens": 7}]
)
def test_the_text_is_the_same_with_drafts_and_without(model, context_params, fields):
    sampling = SamplingParams(**{"max_tokens": 60, **fields})
    requests = [GenerationRequest(chat_ids(model, text), sampling) for text in TEXTS]
    with Generator(model, context_params) as plain:
        expected = [start(plain, request).wait() for request in requests]
    with Generator(model, context_params, draft_tokens=8) as drafting:
        answers = [start(drafting, request).wait() for request in requests]
        again = [answer.wait() for answer in [start(drafting, request) for request in requests]]
    for answer, other, wanted in zip(answers, again, expected, strict=True):
        assert answer.token_ids == other.token_ids == wanted.token_ids
        assert answer.text == wanted.text
        assert answer.end.finish_reason == wanted.end.finish_reason


def test_drafts_stop_at_the_end_of_the_context(model):
    from the_edge_agent.llama.params import ContextParams

    params = ContextParams(n_ctx=256, n_ubatch=48, flash_attention=True)
    request = GenerationRequest(chat_ids(model, "Hello"), grammar='root ::= "ab " root')
    with Generator(model, params) as plain:
        expected = start(plain, request).wait()
    with Generator(model, params, draft_tokens=15) as drafting:
        answer = start(drafting, request).wait()
    assert answer.token_ids == expected.token_ids
    assert answer.end.finish_reason == "length"


def test_copied_text_takes_fewer_steps(model, context_params):
    request = GenerationRequest(
        chat_ids(model, "Hello"), SamplingParams(max_tokens=120), grammar='root ::= "blue dragon " root'
    )
    with Generator(model, context_params, draft_tokens=8) as drafting:
        steps = count_steps(drafting)
        answer = start(drafting, request).wait()
    assert len(answer.token_ids) == 120
    assert steps() < 60


def count_steps(generator: Generator):
    """Counts decodes through the generator's own context."""
    from unittest import mock

    from the_edge_agent.llama.context import LlamaContext

    counter = mock.patch.object(LlamaContext, "decode", autospec=True, side_effect=LlamaContext.decode)
    spy = counter.start()
    return lambda: (counter.stop(), spy.call_count)[1]
