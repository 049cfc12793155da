"""The generator on the embedded model: many requests at once, each as if it were alone."""

from __future__ import annotations

import threading
import time

import pytest
from tests.llama.collected import Collected, ask, chat_ids, start

from the_edge_agent.errors import BackendTimeout, ContextLengthExceeded, GrammarInvalid, UseAfterClose
from the_edge_agent.inference import SamplingParams
from the_edge_agent.llama.context import KvCacheFull, LlamaContext
from the_edge_agent.llama.generator import Generator
from the_edge_agent.llama.params import ContextParams
from the_edge_agent.llama.stream import GenerationRequest, Piece

ENDLESS = "root ::= [a-z ] root"
QUESTIONS = [
    "What is 2+2?",
    "What is 17+25?",
    "Say OK.",
    "Hello",
    "Who are you?",
    "What is 3 times 4?",
    "Hi there",
    "9-4?",
]


def long_request(model, text: str = "Hello", **fields) -> GenerationRequest:
    """A request that goes on until something stops it."""
    return GenerationRequest(chat_ids(model, text), SamplingParams(), grammar=ENDLESS, **fields)


def test_a_model_answers_and_says_why_it_stopped(generator, model):
    answer = ask(generator, model, "What is 2+2?")
    assert answer.end.finish_reason == "stop"
    assert answer.text.strip()
    assert answer.end.usage.prompt_tokens == len(chat_ids(model, "What is 2+2?"))
    assert answer.end.usage.completion_tokens == len(answer.token_ids)


def test_requests_at_once_get_the_answers_they_would_get_alone(generator, model):
    alone = [ask(generator, model, question).token_ids for question in QUESTIONS]
    together = [
        start(generator, GenerationRequest(chat_ids(model, question), SamplingParams(max_tokens=48)))
        for question in QUESTIONS * 3
    ]
    assert [answer.wait().token_ids for answer in together] == alone * 3


def test_max_tokens_ends_an_answer_and_says_length(generator, model):
    answer = start(
        generator, GenerationRequest(chat_ids(model, "Hello"), SamplingParams(max_tokens=3), grammar=ENDLESS)
    )
    assert len(answer.wait().token_ids) == 3
    assert answer.end.finish_reason == "length"


def test_a_full_context_ends_an_answer_and_says_length(model):
    params = ContextParams(n_ctx=256, flash_attention=False)
    with Generator(model, params) as small:
        answer = start(small, long_request(model)).wait()
        assert answer.end.finish_reason == "length"
        total = answer.end.usage.prompt_tokens + answer.end.usage.completion_tokens
        assert total == small.n_ctx


def test_a_prompt_that_does_not_fit_is_refused_before_it_is_queued(generator):
    with pytest.raises(ContextLengthExceeded) as caught:
        generator.submit(GenerationRequest(tuple([5] * 512)), lambda event: None)
    assert (caught.value.needed, caught.value.n_ctx) == (512, 512)


def test_a_cancel_ends_a_stream_and_keeps_what_was_said(generator, model):
    answer = start(generator, long_request(model))
    assert answer.began.wait(30)
    generator.cancel(answer.request_id)
    assert answer.wait().end.finish_reason == "cancelled"
    assert len(answer.token_ids) < 400


def test_a_cancel_in_the_queue_needs_no_slot(generator, model):
    running = [start(generator, long_request(model)) for _ in range(4)]
    queued = start(generator, long_request(model))
    generator.cancel(queued.request_id)
    assert queued.wait().end.usage.completion_tokens == 0
    for answer in running:
        generator.cancel(answer.request_id)
        answer.wait()


def test_a_cancelled_slot_serves_the_next_request(generator, model):
    alone = ask(generator, model, "What is 2+2?").token_ids
    running = [start(generator, long_request(model)) for _ in range(4)]
    queued = start(
        generator, GenerationRequest(chat_ids(model, "What is 2+2?"), SamplingParams(max_tokens=48))
    )
    for answer in running:
        generator.cancel(answer.request_id)
    assert queued.wait().token_ids == alone


def test_a_deadline_that_passes_is_a_typed_error(generator, model):
    answer = start(generator, long_request(model, deadline=time.monotonic() + 0.05)).wait()
    assert isinstance(answer.error, BackendTimeout)


def test_a_stop_string_ends_the_text_in_front_of_it(generator, model):
    whole = ask(generator, model, "Who are you?").text
    stop = whole[10:14]
    answer = ask(generator, model, "Who are you?", stop=(stop,))
    assert answer.text == whole[: whole.index(stop)]
    assert answer.end.finish_reason == "stop"


def test_resume_from_emitted_tokens_goes_on_where_it_stopped(generator, model):
    ids = chat_ids(model, "Who are you?")
    whole = ask(generator, model, "Who are you?")
    for cut in (1, 4, len(whole.token_ids) - 1):
        emitted = whole.token_ids[:cut]
        rest = start(
            generator, GenerationRequest(ids, SamplingParams(max_tokens=48), resume_ids=emitted)
        ).wait()
        assert rest.token_ids == whole.token_ids[cut:]
        assert rest.end.usage.completion_tokens == len(whole.token_ids)


def test_a_resume_that_is_complete_already_ends_at_once(generator, model):
    """By ``max_tokens``, by the context and by a stop string: nothing may be added to any of them."""
    ids = chat_ids(model, "Who are you?")
    whole = ask(generator, model, "Who are you?")
    full = tuple([ids[-1]] * (generator.n_ctx - len(ids)))
    stop = whole.text[4:8]
    for sampling, emitted, reason in (
        (SamplingParams(max_tokens=3), whole.token_ids[:3], "length"),
        (SamplingParams(max_tokens=3), whole.token_ids, "length"),
        (SamplingParams(), full, "length"),
        (SamplingParams(stop=(stop,)), whole.token_ids, "stop"),
    ):
        rest = start(generator, GenerationRequest(ids, sampling, resume_ids=emitted)).wait()
        assert (rest.text, rest.token_ids, rest.end.finish_reason) == ("", (), reason)
    with pytest.raises(ContextLengthExceeded):
        generator.submit(GenerationRequest(ids, resume_ids=(*full, 5)), lambda event: None)


def test_resume_draws_what_would_have_been_drawn(generator, model):
    ids = chat_ids(model, "Tell me something.")
    sampling = SamplingParams(max_tokens=30, temperature=1.5, top_k=50, seed=11)
    whole = start(generator, GenerationRequest(ids, sampling)).wait()
    rest = start(generator, GenerationRequest(ids, sampling, resume_ids=whole.token_ids[:5])).wait()
    assert rest.token_ids == whole.token_ids[5:]


def test_a_seed_decides_what_is_drawn(generator, model):
    def draw(seed: int) -> tuple[int, ...]:
        return ask(
            generator, model, "Tell me something.", temperature=2.0, seed=seed, max_tokens=20
        ).token_ids

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(6)}) > 1


@pytest.mark.parametrize("temperature", [1e-7, 1e-38, 1e-45])
@pytest.mark.parametrize("grammar", ["", ENDLESS])
def test_a_temperature_next_to_nothing_is_none(generator, model, temperature, grammar):
    coldest, cold = (
        start(
            generator,
            GenerationRequest(
                chat_ids(model, "Hello"), SamplingParams(temperature=value, max_tokens=12), grammar=grammar
            ),
        ).wait()
        for value in (0.0, temperature)
    )
    assert (cold.token_ids, cold.end.finish_reason) == (coldest.token_ids, coldest.end.finish_reason)


def test_a_prompt_that_was_seen_before_is_not_prefilled_again(generator, model):
    text = "Tell me what is in this sentence, please: " + "green river " * 10
    first = ask(generator, model, text)
    second = ask(generator, model, text)
    assert first.end.usage.cached_tokens == 0
    assert second.end.usage.cached_tokens >= len(chat_ids(model, text)) - 1
    assert second.token_ids == first.token_ids


def test_branches_over_one_prefix_prefill_it_once(model):
    params = ContextParams(n_ctx=2048, n_seq_max=16, flash_attention=False)
    prefix = "Context: " + "The library opens at nine. " * 20
    with Generator(model, params) as shared:
        branches = [
            start(
                shared,
                GenerationRequest(chat_ids(model, f"{prefix} Question {n}?"), SamplingParams(max_tokens=4)),
            )
            for n in range(12)
        ]
        cached = [branch.wait().end.usage.cached_tokens for branch in branches]
    assert cached[0] == 0
    assert min(cached[1:]) > 100


def test_streams_whose_cells_run_out_are_preempted_and_lose_nothing(model):
    """Four streams of up to 250 tokens share 512 cells: some must give way, and come back as they were."""
    requests = [
        GenerationRequest(chat_ids(model, question), SamplingParams(max_tokens=200), grammar=ENDLESS)
        for question in QUESTIONS[:4]
    ]
    roomy = ContextParams(n_ctx=4 * 512, n_seq_max=4, flash_attention=False, kv_unified=False)
    with Generator(model, roomy) as alone:
        expected = [start(alone, request).wait() for request in requests]
    tight = ContextParams(n_ctx=512, n_seq_max=4, flash_attention=False)
    with Generator(model, tight) as crowded:
        answers = [answer.wait() for answer in [start(crowded, request) for request in requests]]
    assert [len(answer.token_ids) for answer in answers] == [len(answer.token_ids) for answer in expected]
    assert all(answer.end.finish_reason == "length" for answer in answers)


def test_a_cache_that_never_has_room_fails_its_requests_instead_of_trying_for_ever(
    model, context_params, monkeypatch
):
    def full(context, batch):
        raise KvCacheFull("no room")

    monkeypatch.setattr(LlamaContext, "decode", full)
    with Generator(model, context_params) as generator:
        answers = [start(generator, long_request(model, text)) for text in QUESTIONS]
        assert [type(answer.wait().error) for answer in answers] == [KvCacheFull] * len(QUESTIONS)


def test_log_probabilities_are_of_the_models_own_distribution(generator, model):
    answer = ask(generator, model, "What is 2+2?", logprobs=3)
    entries = [entry for event in answer.events if isinstance(event, Piece) for entry in event.logprobs]
    assert len(entries) == len(answer.token_ids)
    for entry in entries:
        assert entry.logprob <= 0
        assert len(entry.top) == 3
        assert entry.top[0][1] == pytest.approx(entry.logprob)  # greedy takes the best
        assert [value for _, value in entry.top] == sorted((value for _, value in entry.top), reverse=True)


def test_a_bad_grammar_fails_its_own_request_and_no_other(generator, model):
    fine = start(generator, GenerationRequest(chat_ids(model, "Hello"), SamplingParams(max_tokens=20)))
    bad = start(generator, GenerationRequest(chat_ids(model, "Hello"), grammar="root ::= missing-rule"))
    assert isinstance(bad.wait().error, GrammarInvalid)
    assert fine.wait().end.finish_reason in ("stop", "length")


def test_texts_are_embedded_while_streams_run(generator, model):
    running = start(generator, long_request(model))
    results: list[object] = []
    done = threading.Event()
    vocab = model.vocab
    texts = [vocab.tokenize(text) for text in ("the cat sleeps", "a bill of lading", "the cat sleeps")]
    generator.embed(texts, lambda result: (results.append(result), done.set()))
    assert done.wait(30)
    vectors = results[0]
    assert isinstance(vectors, list)
    assert [len(vector) for vector in vectors] == [model.n_embd] * 3
    assert vectors[0] == vectors[2]
    assert sum(value * value for value in vectors[1]) == pytest.approx(1)
    generator.cancel(running.request_id)
    running.wait()


def test_a_text_too_long_to_embed_is_a_typed_error(generator):
    results: list[object] = []
    done = threading.Event()
    generator.embed([[5] * 3000], lambda result: (results.append(result), done.set()))
    assert done.wait(30)
    assert isinstance(results[0], ContextLengthExceeded)


def test_closing_ends_what_is_running_with_a_typed_error(model, context_params):
    generator = Generator(model, context_params)
    running = [start(generator, long_request(model)) for _ in range(6)]
    generator.close()
    generator.close()
    assert all(isinstance(answer.wait().error, UseAfterClose) for answer in running)
    with pytest.raises(UseAfterClose):
        generator.submit(long_request(model), Collected().sink)
    generator.cancel(1)


def test_a_resumed_text_does_not_repeat_half_a_character(generator, model):
    """Tokens may end inside a character; what the client has seen is whole characters only."""
    ids = chat_ids(model, "Hello")
    snow = model.vocab.tokenize("☃☃", add_special=False)
    first = start(
        generator,
        GenerationRequest(
            ids, SamplingParams(max_tokens=1), grammar='root ::= "☃☃"', resume_ids=tuple(snow[:1])
        ),
    )
    assert "�" not in first.wait().text
