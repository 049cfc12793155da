"""The public fake keeps the promises of its docstring."""

import asyncio

import pytest

from the_edge_agent.backends.scripted import ScriptedAnswer, ScriptedBackend, tool_call, word_vector
from the_edge_agent.errors import BackendError, BackendUnavailable, ContextLengthExceeded, RateLimited
from the_edge_agent.inference import (
    Backend,
    ChatRequest,
    Completion,
    EmbedRequest,
    Message,
    SamplingParams,
    collect,
)


def ask(backend: ScriptedBackend, text: str = "Hi", **fields) -> Completion:
    return asyncio.run(collect(backend.chat(ChatRequest((Message("user", text),), **fields))))


def test_it_is_a_backend():
    assert isinstance(ScriptedBackend("Hello"), Backend)


def test_a_text_answers_every_request():
    backend = ScriptedBackend("Hello")
    assert [ask(backend).text, ask(backend).text] == ["Hello", "Hello"]


def test_a_list_gives_one_answer_a_request_and_then_says_that_it_is_used_up():
    backend = ScriptedBackend(["one", "two"])
    assert [ask(backend).text, ask(backend).text] == ["one", "two"]
    with pytest.raises(BackendError, match="the script holds 2 answers and this is request 3"):
        ask(backend)


def test_a_function_answers_from_the_request():
    backend = ScriptedBackend(lambda request: request.messages[-1].content.upper())
    assert ask(backend, "loud").text == "LOUD"


def test_fail_after_streams_so_many_tokens_and_then_fails():
    seen = []

    async def read():
        async for chunk in ScriptedBackend("Hello", fail_after=3).chat(ChatRequest(())):
            seen.append(chunk.text)

    with pytest.raises(BackendUnavailable):
        asyncio.run(read())
    assert seen == ["H", "e", "l"]


def test_fail_after_beyond_the_text_still_fails():
    with pytest.raises(BackendUnavailable):
        ask(ScriptedBackend("Hi", fail_after=9))


def test_an_exception_in_the_list_is_raised_and_the_next_request_goes_on():
    backend = ScriptedBackend([RateLimited("slow down", retry_after_s=2), "done"])
    with pytest.raises(RateLimited):
        ask(backend)
    assert ask(backend).text == "done"


def test_tool_calls_finish_as_tool_calls():
    backend = ScriptedBackend([tool_call("add", {"a": 1}), [tool_call("x"), tool_call("y")]])
    first = ask(backend)
    assert (first.finish_reason, first.tool_calls[0].arguments) == ("tool_calls", '{"a": 1}')
    assert [call.name for call in ask(backend).tool_calls] == ["x", "y"]


@pytest.mark.parametrize(
    ("sampling", "text", "reason"),
    [
        (SamplingParams(max_tokens=4), "Hell", "length"),
        (SamplingParams(max_tokens=5), "Hello", "stop"),
        (SamplingParams(stop=("lo", "l")), "He", "stop"),
    ],
)
def test_limits_are_honoured(sampling, text, reason):
    answer = ask(ScriptedBackend("Hello"), sampling=sampling)
    assert (answer.text, answer.finish_reason) == (text, reason)


def test_one_character_counts_as_one_token():
    answer = ask(ScriptedBackend("Hello"), "Hi!")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 5)


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers():
    with pytest.raises(ContextLengthExceeded) as caught:
        ask(ScriptedBackend("Hello", n_ctx=10), "x" * 12)
    assert (caught.value.needed, caught.value.n_ctx) == (12, 10)


def test_the_answer_ends_where_the_context_is_full():
    assert ask(ScriptedBackend("Hello", n_ctx=5), "Hi").finish_reason == "length"


def test_a_resumed_request_goes_on_behind_what_was_emitted():
    assert ask(ScriptedBackend("Hello"), resume_token_ids=(72, 101)).text == "llo"


def test_requests_are_recorded():
    backend = ScriptedBackend("Hello")
    ask(backend, "one")
    asyncio.run(backend.embed(EmbedRequest(("two",))))
    assert backend.requests[0].messages[0].content == "one"
    assert backend.embed_requests[0].texts == ("two",)


def test_notices_of_an_answer_reach_the_reader():
    assert ask(ScriptedBackend(ScriptedAnswer("x", notices=("fell back",)))).notices == ("fell back",)


def test_texts_that_share_words_have_similar_vectors():
    def close(a: str, b: str) -> float:
        return sum(x * y for x, y in zip(word_vector(a), word_vector(b), strict=True))

    assert close("a red apple", "the red apple") > close("a red apple", "seven blue boats")


def test_closing_is_remembered():
    async def use() -> ScriptedBackend:
        async with ScriptedBackend("x") as backend:
            pass
        return backend

    assert asyncio.run(use()).closed
