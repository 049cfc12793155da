"""The API backend against a real server that behaves, and one that doesn't."""

import asyncio
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backends.fake_api import HELLO, STREAM_HEAD, answer, event, fake_api, stream

from the_edge_agent.backends.openai import OpenAIBackend
from the_edge_agent.backends.openai_errors import parse_retry_after
from the_edge_agent.backends.sse import MAX_EVENT_SIZE, SseReader
from the_edge_agent.errors import (
    AuthFailed,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ContextLengthExceeded,
    EdgeAgentError,
    PrivacyRefused,
    RateLimited,
    SettingInvalid,
    UnsupportedFeature,
)
from the_edge_agent.inference import (
    Backend,
    ChatRequest,
    EmbedRequest,
    ImagePart,
    Message,
    ResponseFormat,
    SamplingParams,
    Tool,
    ToolCall,
    collect,
)

KEY = "sk-top-secret-4711"
HI = ChatRequest((Message("user", "Hi"),))


def ask(*answers, request=HI, **options):
    """The completion and what the server saw; errors are raised."""

    async def go():
        async with (
            fake_api(*answers) as api,
            OpenAIBackend(api.url, api_key=KEY, model="m", **options) as backend,
        ):
            return await collect(backend.chat(request)), api.seen

    return asyncio.run(go())


def test_it_is_a_backend():
    assert isinstance(OpenAIBackend("https://api.example.com/v1"), Backend)


def test_a_streamed_answer_is_put_together():
    completion, seen = ask(stream(*HELLO))
    assert (completion.text, completion.finish_reason, completion.model) == ("Hello", "stop", "served")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 2)
    assert completion.backend == "openai"
    assert seen[0].path == "/v1/chat/completions"
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert seen[0].body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
    }


def test_what_was_asked_reaches_the_server_by_its_own_names():
    request = ChatRequest(
        (
            Message("user", "look", images=(ImagePart(b"png"),)),
            Message("assistant", "", tool_calls=(ToolCall("c1", "add", '{"a":1}'),)),
            Message("tool", "2", tool_call_id="c1", name="add"),
        ),
        sampling=SamplingParams(max_tokens=5, top_p=0.9, top_k=3, seed=7, stop=("x",), logprobs=2),
        model="other",
        tools=(Tool("add", "Adds", {"type": "object"}),),
        tool_choice="add",
        parallel_tool_calls=False,
        response_format=ResponseFormat("json_schema", {"type": "object"}, "thing"),
    )
    body = ask(stream(*HELLO), request=request)[1][0].body
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]
    assert {
        key: body[key] for key in ("model", "max_tokens", "top_p", "top_k", "seed", "stop", "top_logprobs")
    } == {
        "model": "other",
        "max_tokens": 5,
        "top_p": 0.9,
        "top_k": 3,
        "seed": 7,
        "stop": ["x"],
        "top_logprobs": 2,
    }
    assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert body["parallel_tool_calls"] is False
    assert body["response_format"]["json_schema"] == {"name": "thing", "schema": {"type": "object"}}


def test_tool_calls_come_together_from_their_pieces():
    def piece(index, **fields):
        return event({"tool_calls": [{"index": index, **fields}]})

    completion, _ = ask(
        stream(
            piece(0, id="a", function={"name": "add", "arguments": ""}),
            piece(0, function={"arguments": '{"a":'}),
            piece(1, id="b", function={"name": "sub", "arguments": "{}"}),
            piece(0, function={"arguments": " 1}"}),
            event({}, finish_reason="tool_calls"),
        )
    )
    assert completion.tool_calls == (ToolCall("a", "add", '{"a": 1}'), ToolCall("b", "sub", "{}"))
    assert completion.finish_reason == "tool_calls"


def test_a_call_cut_off_by_the_limit_is_no_call():
    cut = event({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "add", "arguments": '{"a'}}]})
    completion, _ = ask(stream(cut, event({}, finish_reason="length")))
    assert (completion.tool_calls, completion.finish_reason) == ((), "length")


def test_logprobs_are_read():
    entry = {"token": "Hi", "logprob": -0.1, "top_logprobs": [{"token": "Hi", "logprob": -0.1}]}
    chunk = event({"content": "Hi"}, logprobs={"content": [entry]}, finish_reason="stop")
    completion, _ = ask(stream(chunk))
    assert completion.logprobs[0].top == (("Hi", -0.1),)


def test_pings_comments_names_and_all_line_ends_are_passed_over():
    for ending in ("\n\n", "\r\n\r\n", "\r\r"):
        noise = (f": ping{ending}", f"event: message{ending}", f"id: 7{ending}", f"retry: 100{ending}")
        completion, _ = ask(stream(noise[0], HELLO[0], *noise, HELLO[1], HELLO[2], ending=ending))
        assert completion.text == "Hello"


def test_a_stream_split_anywhere_reads_the_same():
    data = stream(event({"content": "Grüße 🎉"}), HELLO[2])[len(STREAM_HEAD) :]

    async def drip(writer, _reader):
        writer.write(STREAM_HEAD)
        for index in range(len(data)):
            writer.write(data[index : index + 1])
            await writer.drain()

    completion, _ = ask(drip)
    assert completion.text == "Grüße 🎉"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4), st.data())
def test_events_come_out_whole_however_the_bytes_are_cut(texts, data):
    payloads = [json.dumps(text) for text in texts]
    ending = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    raw = "".join(f"data: {payload}{ending}{ending}" for payload in payloads).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    reader, found = SseReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        found.extend(reader.feed(raw[start:end]))
    # A lone CR at the very end may still be half of a CRLF.
    assert found == payloads or (ending == "\r" and found == payloads[:-1])


def test_data_over_several_lines_is_one_event():
    assert list(SseReader().feed(b"data: a\ndata:b\n\n")) == ["a\nb"]


def test_a_server_that_does_not_stream_is_understood():
    body = {
        "model": "served",
        "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
    }
    completion, _ = ask(answer(body=body))
    assert (completion.text, completion.usage.cached_tokens) == ("Hello", 1)


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "error", "what"),
    [
        (stream(*HELLO, done=False), BackendUnavailable, r"ended before \[DONE\]"),
        (stream(*HELLO[:2]), BackendUnavailable, "without a finish_reason"),
        (STREAM_HEAD + b'data: {"choices": [{"del', BackendUnavailable, r"ended before \[DONE\]"),
        (stream("data: {nonsense}\n\n"), BackendError, "can't be read"),
        (stream("data: [1]\n\n"), BackendError, "no object"),
        (stream('data: {"choices": [5]}\n\n'), BackendError, "no object"),
        (STREAM_HEAD + b"data: \xff\xfe\n\n", BackendError, "can't be read"),
        (
            stream('data: {"error": {"message": "overloaded", "code": 503}}\n\n'),
            BackendUnavailable,
            "broke off: overloaded",
        ),
        (stream(event({"content": "x"}, finish_reason="content_filter")), BackendError, "content_filter"),
        (answer(body=b"hello"), BackendError, "can't be read"),
        (answer(body=b"[" * 100_000), BackendError, "can't be read"),
        (b"", BackendUnavailable, "connection broke"),
        (b"SSH-2.0-OpenSSH\r\n", BackendUnavailable, "connection broke"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\ndata: ",
            BackendUnavailable,
            "broke",
        ),
    ],
)
def test_a_broken_answer_is_an_error_and_never_a_short_answer(raw, error, what):
    with pytest.raises(error, match=what):
        ask(raw)


@pytest.mark.parametrize(
    ("status", "body", "error", "what"),
    [
        (400, {"error": {"message": "bad temperature"}}, BackendError, "bad temperature"),
        (401, {"error": {"message": "no"}}, AuthFailed, "OPENAI_API_KEY"),
        (403, b"", AuthFailed, "status 403"),
        (404, {"error": "model not found"}, BackendError, "model not found"),
        (408, b"", BackendTimeout, "gave up"),
        (422, {"detail": "nope"}, BackendError, "status 422"),
        (429, {"error": {"code": "insufficient_quota", "message": "pay"}}, BackendError, "quota"),
        (500, b"<html>oops</html>", BackendUnavailable, "status 500"),
        (503, b"", BackendUnavailable, "status 503"),
        (504, b"", BackendTimeout, "status 504"),
        (204, b"", BackendError, "status 204"),
    ],
)
def test_a_failing_status_becomes_its_error(status, body, error, what):
    with pytest.raises(error, match=what) as caught:
        ask(answer(status, body=body))
    assert type(caught.value) is error
    assert caught.value.place == "API 127.0.0.1"


@pytest.mark.parametrize(
    ("status", "headers"), [(429, [("retry-after", "7")]), (503, [("retry-after-ms", "7000")])]
)
def test_retry_after_is_handed_on(status, headers):
    with pytest.raises(RateLimited) as caught:
        ask(answer(status, headers))
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("nan", None),
        ("soon", None),
        ("1e30", 86_400.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert parse_retry_after({"retry-after": text}, now_s=10.0) == seconds


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4097 tokens. However, your messages resulted in 5010 tokens.",
        "the request exceeds the available context size: n_ctx 4097, needed 5010",
    ],
)
def test_a_prompt_beyond_the_context_is_recognized(message):
    body = {"error": {"message": message, "code": "context_length_exceeded"}}
    with pytest.raises(ContextLengthExceeded) as caught:
        ask(answer(400, body=body))
    assert (caught.value.needed, caught.value.n_ctx) == (5010, 4097)


def test_a_redirect_is_not_followed_so_neither_prompt_nor_key_goes_elsewhere():
    async def go():
        async with fake_api(stream(*HELLO)) as other:
            target = other.url.replace("127.0.0.1", "localhost")
            moved = answer(307, [("location", f"{target}/chat/completions?key=x")])
            async with fake_api(moved) as api, OpenAIBackend(api.url, api_key=KEY) as backend:
                with pytest.raises(BackendError, match="redirects to http://localhost"):
                    await collect(backend.chat(HI))
            assert other.seen == []

    asyncio.run(go())


def test_nobody_there_is_said_so():
    async def go():
        async with fake_api(b"") as api:
            url = api.url
        async with OpenAIBackend(url) as backend:
            await collect(backend.chat(HI))

    with pytest.raises(BackendUnavailable, match="no connection"):
        asyncio.run(go())


async def _silent(writer, reader):
    writer.write(STREAM_HEAD + b": ping\n\n")
    await writer.drain()
    await reader.read()  # until the client goes away


def test_a_deadline_ends_a_silent_stream():
    with pytest.raises(BackendTimeout, match=r"after 0.05 s; raise timeout_s"):
        ask(_silent, request=ChatRequest(HI.messages, deadline_s=0.05))


def test_a_server_that_falls_silent_is_given_up():
    with pytest.raises(BackendTimeout, match=r"silent for 0.05 s"):
        ask(_silent, idle_timeout_s=0.05)


def test_closing_the_stream_closes_the_connection():
    async def endless(writer, _reader):
        writer.write(STREAM_HEAD)
        while True:
            writer.write(f"data: {json.dumps(event({'content': 'x'}))}\n\n".encode())
            await writer.drain()

    async def go():
        async with fake_api(endless) as api, OpenAIBackend(api.url) as backend:
            chunks = backend.chat(HI)
            assert (await anext(chunks)).text == "x"
            await chunks.aclose()
            await api.closed.wait()

    asyncio.run(asyncio.wait_for(go(), 30))


def test_an_endless_event_is_refused():
    reader = SseReader()
    with pytest.raises(ValueError, match="more than"):
        list(reader.feed(b"data: " + b"x" * (MAX_EVENT_SIZE + 1)))


# ── privacy and the key ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_local_only_prompt_never_leaves():
    async def go():
        async with OpenAIBackend("https://api.example.com/v1") as backend:
            await collect(backend.chat(HI))

    with pytest.raises(PrivacyRefused):
        asyncio.run(go())


def test_local_only_texts_are_never_sent_for_embedding():
    async def go():
        async with OpenAIBackend("https://api.example.com/v1") as backend:
            await backend.embed(EmbedRequest(("x",)))

    with pytest.raises(PrivacyRefused):
        asyncio.run(go())


def test_who_leaves_the_machine_says_so():
    def leaves(url):
        return asyncio.run(OpenAIBackend(url).describe()).leaves_machine

    assert leaves("https://api.example.com/v1")
    assert leaves("http://192.168.1.7:8080/v1")
    assert not leaves("http://127.0.0.1:8080/v1")
    assert not leaves("http://[::1]:8080/v1")


def test_the_key_is_in_no_error_no_log_and_no_repr(caplog):
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    for raw in (
        answer(401, body=echo),
        answer(400, body=echo),
        stream(f"data: {json.dumps(echo)}\n\n"),
        answer(307, [("location", f"https://x/{KEY}")]),
        stream(f"data: {KEY}\n\n"),
    ):
        with pytest.raises(EdgeAgentError) as caught:
            ask(raw)
        shown = f"{caught.value}{caught.value!r}{caught.value.args}{caught.value.__cause__!r}"
        assert KEY not in shown
    assert KEY not in caplog.text
    assert KEY not in repr(OpenAIBackend("https://api.example.com/v1", api_key=KEY))


@pytest.mark.parametrize("key", ["sk-1\nx-evil: 1", "schlüssel", "two words"])
def test_a_key_that_would_break_the_header_is_refused_without_showing_it(key):
    with pytest.raises(SettingInvalid) as caught:
        OpenAIBackend("https://api.example.com/v1", api_key=key, key_env="MY_KEY")
    assert "MY_KEY" in str(caught.value)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "ftp://x/v1",
        "file:///etc/passwd",
        "https://u:p@x/v1",
        "https://x/v1?key=1",
        "http://",
    ],
)
def test_a_base_url_that_is_no_api_is_refused(url):
    with pytest.raises(SettingInvalid):
        OpenAIBackend(url)


def test_without_a_key_no_authorization_is_sent():
    async def go():
        async with fake_api(stream(*HELLO)) as api, OpenAIBackend(f"{api.url}/") as backend:
            await collect(backend.chat(HI))
            return api.seen[0]

    seen = asyncio.run(go())
    assert "authorization" not in seen.headers
    assert seen.path == "/v1/chat/completions"


def test_resuming_is_refused():
    with pytest.raises(UnsupportedFeature):
        ask(b"", request=ChatRequest(HI.messages, resume_token_ids=(1,)))


# ── embeddings ───────────────────────────────────────────────────────────────────────────────────────────────────────


def embed(raw, *texts):
    async def go():
        async with fake_api(raw) as api, OpenAIBackend(api.url, model="m") as backend:
            return await backend.embed(EmbedRequest(texts)), api.seen

    return asyncio.run(go())


def test_embeddings_come_in_the_order_of_the_texts():
    rows = [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1.5, 0]}]
    embeddings, seen = embed(
        answer(body={"data": rows, "model": "e", "usage": {"prompt_tokens": 4}}), "a", "b"
    )
    assert embeddings.vectors == ((1.5, 0.0), (0.0, 1.0))
    assert (embeddings.model, embeddings.usage.prompt_tokens) == ("e", 4)
    assert seen[0].path == "/v1/embeddings"
    assert seen[0].body == {"input": ["a", "b"], "encoding_format": "float", "model": "m"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": [{"embedding": [1]}]},
        {"data": [{"embedding": [1]}, {"embedding": [1, 2]}]},
        {"data": [{"embedding": [1]}, {"embedding": "AAAA"}]},
        {"data": [{"embedding": [1]}, {"embedding": [None]}]},
        b'{"data": [{"embedding": [NaN]}, {"embedding": [1]}]}',
        [],
    ],
)
def test_vectors_that_are_none_are_an_error(body):
    with pytest.raises(BackendError):
        embed(answer(body=body), "a", "b")


def test_counting_is_an_estimate_that_grows_with_the_text():
    backend = OpenAIBackend("http://localhost/v1")
    counts = [
        asyncio.run(backend.count_tokens(ChatRequest((Message("user", "x" * n),)))) for n in (0, 30, 300)
    ]
    assert counts == [8, 18, 108]
