"""The local backend on the embedded model: the protocol's promises, kept by real inference."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import the_edge_agent
from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.errors import (
    BackendTimeout,
    ContextLengthExceeded,
    EdgeAgentError,
    GgufInvalid,
    GrammarInvalid,
    SchemaUnsupported,
    TemplateInvalid,
    UnsupportedFeature,
    UsageError,
    UseAfterClose,
)
from the_edge_agent.inference import (
    Backend,
    ChatRequest,
    Completion,
    EmbedRequest,
    ImagePart,
    Message,
    ResponseFormat,
    SamplingParams,
    Tool,
    collect,
)
from the_edge_agent.inference.json_schema import validate

TINY = Path(the_edge_agent.__file__).parent / "store" / "embedded" / "tiny.gguf"
WEATHER = Tool(
    "get_weather",
    "Get the weather of a city",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
TICKET = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["bug", "wish", 3]},
        "count": {"type": "integer", "minimum": 1, "maximum": 20},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 3},
    },
    "required": ["name", "kind", "count", "tags"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    loaded = LocalBackend.load(TINY, LocalOptions())
    yield loaded
    loaded.close()


def request(text: str = "What is 2+2?", **fields) -> ChatRequest:
    fields.setdefault("sampling", SamplingParams(max_tokens=64))
    return ChatRequest((Message("user", text),), **fields)


def ask(backend: LocalBackend, text: str = "What is 2+2?", **fields) -> Completion:
    return asyncio.run(collect(backend.chat(request(text, **fields))))


def test_it_is_a_backend(backend):
    assert isinstance(backend, Backend)


def test_the_embedded_model_answers_the_boot_check(backend):
    answer = ask(backend, "Respond with OK if you are working.")
    assert "OK" in answer.text
    assert answer.finish_reason == "stop"


def test_the_last_chunk_says_who_answered_and_what_it_took(backend):
    answer = ask(backend)
    info = asyncio.run(backend.describe())
    assert (answer.backend, answer.model, answer.n_ctx) == ("local", info.model, info.n_ctx)
    assert info.n_ctx == 2048
    assert answer.usage.prompt_tokens == asyncio.run(backend.count_tokens(request()))
    assert answer.usage.completion_tokens == len(answer.token_ids)
    assert answer.timings.decode_s > 0


def test_it_opens_in_a_with_block_and_by_awaiting():
    async def scenario() -> None:
        async with LocalBackend.open(TINY, LocalOptions(n_ctx=256)) as opened:
            assert (await opened.describe()).n_ctx == 256
        awaited = await LocalBackend.open(TINY)
        await awaited.aclose()
        await awaited.aclose()
        with pytest.raises(UseAfterClose):
            await collect(awaited.chat(request()))

    asyncio.run(scenario())


def test_many_chats_at_once_on_one_loop_get_their_own_answers(backend):
    questions = [f"What is {a}+{b}?" for a in range(4) for b in range(5)]
    alone = [ask(backend, question).text for question in questions]

    async def together() -> list[str]:
        answers = await asyncio.gather(*(collect(backend.chat(request(question))) for question in questions))
        return [answer.text for answer in answers]

    assert asyncio.run(together()) == alone


def test_leaving_a_stream_early_cancels_the_work(backend):
    async def scenario() -> None:
        endless = request("Hello", response_format=ResponseFormat("json_object"), sampling=SamplingParams())
        streams = [backend.chat(endless) for _ in range(8)]
        for stream in streams:
            await anext(stream)
            await stream.aclose()
        answer = await collect(backend.chat(request()))
        assert answer.finish_reason == "stop"

    asyncio.run(scenario())


def test_a_cancelled_task_cancels_its_work(backend):
    async def scenario() -> None:
        schema = {"type": "array", "items": {"type": "boolean"}, "minItems": 400, "maxItems": 400}
        slow = request(
            "Hello", response_format=ResponseFormat("json_schema", schema), sampling=SamplingParams()
        )
        tasks = [asyncio.ensure_future(collect(backend.chat(slow))) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (await collect(backend.chat(request()))).finish_reason == "stop"

    asyncio.run(scenario())


def test_a_deadline_is_kept(backend):
    with pytest.raises(BackendTimeout):
        ask(backend, deadline_s=0.0)


def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(backend):
    with pytest.raises(ContextLengthExceeded) as caught:
        ask(backend, "word " * 200_000)
    assert caught.value.n_ctx == 2048
    assert caught.value.needed > 100_000


def test_resuming_from_token_ids_completes_the_same_text(backend):
    whole = ask(backend, "Who are you?")
    for cut in range(1, len(whole.token_ids), 5):
        rest = ask(backend, "Who are you?", resume_token_ids=whole.token_ids[:cut])
        assert whole.text.endswith(rest.text)
        assert (*whole.token_ids[:cut], *rest.token_ids) == whole.token_ids


def test_a_seed_makes_sampling_repeatable(backend):
    sampling = SamplingParams(max_tokens=20, temperature=1.5, seed=7)
    assert ask(backend, sampling=sampling).token_ids == ask(backend, sampling=sampling).token_ids


def test_ignore_eos_goes_on_until_the_limit_and_is_no_use_with_a_grammar(backend):
    sampling = SamplingParams(max_tokens=40, ignore_eos=True)
    answer = ask(backend, "Respond with OK if you are working.", sampling=sampling)
    assert (answer.finish_reason, answer.usage.completion_tokens) == ("length", 40)
    with pytest.raises(GrammarInvalid, match="ignore_eos"):
        ask(backend, sampling=sampling, response_format=ResponseFormat("json_object"))


def test_log_probabilities_come_with_the_tokens(backend):
    answer = ask(backend, sampling=SamplingParams(max_tokens=8, logprobs=2))
    assert len(answer.logprobs) == len(answer.token_ids)
    assert all(len(entry.top) == 2 for entry in answer.logprobs)


# --- structured output --------------------------------------------------------------------------------------------


def test_a_json_schema_is_always_kept(backend):
    for question in ("I am Bob and I found a bug.", "Extract.", "Say hello"):
        answer = ask(
            backend,
            question,
            response_format=ResponseFormat("json_schema", TICKET),
            sampling=SamplingParams(max_tokens=200),
        )
        assert answer.finish_reason == "stop"
        assert validate(TICKET, json.loads(answer.text)) == ()


def test_a_json_schema_is_kept_when_sampling_is_hot(backend):
    for seed in range(5):
        sampling = SamplingParams(max_tokens=300, temperature=5.0, seed=seed)
        answer = ask(backend, response_format=ResponseFormat("json_schema", TICKET), sampling=sampling)
        assert validate(TICKET, json.loads(answer.text)) == ()


def test_a_truncated_answer_is_reported_as_such(backend):
    answer = ask(
        backend, response_format=ResponseFormat("json_schema", TICKET), sampling=SamplingParams(max_tokens=4)
    )
    assert answer.finish_reason == "length"


def test_a_schema_that_is_not_understood_is_refused(backend):
    with pytest.raises(SchemaUnsupported):
        ask(backend, response_format=ResponseFormat("json_schema", {"type": "object", "unheardOf": 1}))
    with pytest.raises(UnsupportedFeature, match="without a schema"):
        ask(backend, response_format=ResponseFormat("json_schema"))


# --- tools --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["required", "get_weather"])
def test_a_required_tool_is_called_with_valid_arguments(backend, choice):
    answer = ask(
        backend, "Weather in Paris?", tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=False
    )
    assert answer.finish_reason == "tool_calls"
    assert [call.name for call in answer.tool_calls] == ["get_weather"]
    assert validate(WEATHER.parameters, json.loads(answer.tool_calls[0].arguments)) == ()


def test_tool_choice_none_leaves_the_tools_out(backend):
    answer = ask(backend, "What is 2+2?", tools=(WEATHER,), tool_choice="none")
    assert answer.tool_calls == ()
    assert answer.text == ask(backend, "What is 2+2?").text


def test_a_call_that_has_begun_can_only_be_a_valid_one(backend):
    """The model is led to begin a call by resuming behind its marker; from there on the grammar binds."""
    prompt = request(
        "Weather in Rome?", tools=(WEATHER,), sampling=SamplingParams(max_tokens=80, temperature=3.0, seed=2)
    )
    marker = tuple(backend._model.vocab.tokenize("<tool_call>", add_special=False, parse_special=True))
    for seed in range(5):
        sampling = SamplingParams(max_tokens=100, temperature=3.0, seed=seed)
        resumed = ChatRequest(prompt.messages, sampling, tools=(WEATHER,), resume_token_ids=marker)
        answer = asyncio.run(collect(backend.chat(resumed)))
        assert answer.finish_reason in ("tool_calls", "length")
        for call in answer.tool_calls:
            assert call.name == "get_weather"
            assert validate(WEATHER.parameters, json.loads(call.arguments)) == ()


def test_a_call_that_was_cut_by_a_resume_is_still_a_call(backend):
    asked = request("Weather in Paris?", tools=(WEATHER,), tool_choice="required", parallel_tool_calls=False)
    whole = asyncio.run(collect(backend.chat(asked)))
    for cut in range(1, len(whole.token_ids), 3):
        rest = asyncio.run(collect(backend.chat(replace(asked, resume_token_ids=whole.token_ids[:cut]))))
        assert rest.tool_calls == whole.tool_calls
        assert rest.finish_reason == whole.finish_reason == "tool_calls"
        assert whole.text.endswith(rest.text)


def test_text_in_front_of_a_call_is_not_shown_again_by_a_resume(backend):
    asked = request("Weather in Rome?", tools=(WEATHER,), sampling=SamplingParams(max_tokens=120))
    said = "Let me see. <tool_call>"
    emitted = tuple(backend._model.vocab.tokenize(said, add_special=False, parse_special=True))
    answer = asyncio.run(collect(backend.chat(replace(asked, resume_token_ids=emitted))))
    assert "Let me see" not in answer.text
    assert [call.name for call in answer.tool_calls][:1] == ["get_weather"]


def test_a_resume_behind_the_last_token_says_so_and_adds_nothing(backend):
    sampling = SamplingParams(max_tokens=5)
    whole = ask(backend, "Who are you?", sampling=sampling)
    assert len(whole.token_ids) == 5
    for emitted in (whole.token_ids, (*whole.token_ids, *whole.token_ids)):
        rest = ask(backend, "Who are you?", sampling=sampling, resume_token_ids=emitted)
        assert (rest.text, rest.token_ids, rest.finish_reason) == ("", (), "length")


def test_a_conversation_with_calls_and_results_is_understood(backend):
    first = ask(
        backend, "Weather in Paris?", tools=(WEATHER,), tool_choice="required", parallel_tool_calls=False
    )
    messages = (
        Message("user", "Weather in Paris?"),
        Message("assistant", first.text, tool_calls=first.tool_calls),
        Message("tool", "sunny, 20 degrees", tool_call_id=first.tool_calls[0].id),
    )
    answer = asyncio.run(
        collect(backend.chat(ChatRequest(messages, SamplingParams(max_tokens=64), tools=(WEATHER,))))
    )
    assert answer.finish_reason in ("stop", "tool_calls")


def test_tools_work_where_the_template_has_no_place_for_them():
    plain = LocalBackend.load(TINY, LocalOptions(chat_format="chatml"))
    try:
        answer = ask(
            plain, "Weather in Paris?", tools=(WEATHER,), tool_choice="required", parallel_tool_calls=False
        )
        assert [call.name for call in answer.tool_calls] == ["get_weather"]
    finally:
        plain.close()


def test_an_unknown_tool_choice_and_a_format_beside_tools_are_refused(backend):
    with pytest.raises(UsageError, match="tool_choice is 'wether'"):
        ask(backend, tools=(WEATHER,), tool_choice="wether")
    with pytest.raises(UnsupportedFeature, match="together with tools"):
        ask(backend, tools=(WEATHER,), response_format=ResponseFormat("json_object"))


def test_an_image_is_refused(backend):
    message = Message("user", "What is this?", images=(ImagePart(b"x"),))
    with pytest.raises(UnsupportedFeature, match="image"):
        asyncio.run(collect(backend.chat(ChatRequest((message,)))))


# --- embeddings ---------------------------------------------------------------------------------------------------


def test_embeddings_are_unit_vectors_in_order(backend):
    texts = ("the cat sleeps", "", "a bill of lading", "the cat sleeps")
    result = asyncio.run(backend.embed(EmbedRequest(texts)))
    assert len(result.vectors) == 4
    assert result.vectors[0] == result.vectors[3]
    assert result.vectors[0] != result.vectors[2]
    assert sum(value * value for value in result.vectors[2]) == pytest.approx(1)
    assert result.usage.prompt_tokens > 0
    assert asyncio.run(backend.embed(EmbedRequest(()))).vectors == ()


def test_texts_that_nobody_waits_for_any_more_are_not_embedded(backend):
    many = tuple(f"text {number} " * 50 for number in range(3000))

    async def leave() -> float:
        with pytest.raises(BackendTimeout):
            await backend.embed(EmbedRequest(many, deadline_s=0.05))
        left = asyncio.create_task(backend.embed(EmbedRequest(many)))
        await asyncio.sleep(0.05)
        left.cancel()
        await asyncio.wait([left])
        started = time.monotonic()
        await backend.embed(EmbedRequest(("Hello",)))
        return time.monotonic() - started

    assert asyncio.run(leave()) < 1


def test_a_text_that_is_too_long_to_embed_is_refused(backend):
    with pytest.raises(ContextLengthExceeded):
        asyncio.run(backend.embed(EmbedRequest(("word " * 5000,))))


# --- opening ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (LocalOptions(n_ctx=-5), UsageError),
        (LocalOptions(n_threads=0), UsageError),
        (LocalOptions(n_seq_max=100_000), UsageError),
        (LocalOptions(kv_type="q2_k"), EdgeAgentError),  # pyright: ignore[reportArgumentType]
        (LocalOptions(chat_format="no such format"), TemplateInvalid),
        (LocalOptions(chat_format="{% for"), TemplateInvalid),
    ],
)
def test_a_bad_option_is_a_typed_error_and_leaves_nothing_open(options, error):
    with pytest.raises(error):
        LocalBackend.load(TINY, options)


def test_a_file_that_is_no_gguf_never_reaches_native_code(tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(TINY.read_bytes()[:5000])
    with pytest.raises(GgufInvalid):
        LocalBackend.load(path, LocalOptions())


def test_the_program_can_end_in_the_middle_of_a_stream():
    code = (
        "import asyncio\n"
        "from pathlib import Path\n"
        "from the_edge_agent.backends.local import LocalBackend, LocalOptions\n"
        "from the_edge_agent.inference import ChatRequest, Message, ResponseFormat\n"
        f"backend = LocalBackend.load(Path({str(TINY)!r}), LocalOptions())\n"
        "schema = {'type': 'array', 'items': {'type': 'boolean'}, 'minItems': 400, 'maxItems': 400}\n"
        "async def main():\n"
        "    stream = backend.chat(ChatRequest((Message('user', 'Hi'),), response_format=ResponseFormat('json_schema', schema)))\n"
        "    await anext(stream)\n"
        "    print('first')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "first\n", "")
