"""What crosses a process border arrives as it left, and nothing else arrives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent import errors
from the_edge_agent.backends.runtime_answers import chunk_to_json, error_to_json, parse_chunk, parse_error
from the_edge_agent.backends.runtime_requests import (
    chat_request_to_json,
    embed_request_to_json,
    parse_chat_request,
    parse_embed_request,
)
from the_edge_agent.errors import ActionParamsInvalid, BackendError, ContextLengthExceeded, RateLimited
from the_edge_agent.inference import (
    ChatRequest,
    CompletionChunk,
    EmbedRequest,
    ImagePart,
    Message,
    ResponseFormat,
    SamplingParams,
    Timings,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)

texts = st.text(st.characters(exclude_categories=()), max_size=20)
counts = st.integers(0, 2**31 - 1)
calls = st.builds(ToolCall, texts, texts, texts)
messages = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    texts,
    st.tuples() | st.tuples(st.builds(ImagePart, st.binary(max_size=9), texts)),
    st.tuples() | st.tuples(calls),
    texts,
    texts,
)
samplings = st.builds(
    SamplingParams,
    max_tokens=st.none() | st.integers(1, 1000),
    temperature=st.floats(0, 100),
    top_p=st.floats(0, 1),
    top_k=st.integers(0, 100),
    seed=st.none() | st.integers(0, 2**32 - 1),
    stop=st.lists(texts.filter(bool), max_size=3).map(tuple),
    logprobs=st.none() | st.integers(0, 20),
    ignore_eos=st.booleans(),
)
requests = st.builds(
    ChatRequest,
    st.lists(messages, max_size=3).map(tuple),
    samplings,
    texts,
    st.sampled_from([None, "operational", "strategic"]),
    deadline_s=st.none() | st.floats(0.001, 1e8),
    privacy=st.sampled_from(["local-only", "may-leave"]),
    resume_token_ids=st.lists(counts, max_size=5).map(tuple),
)
chunks = st.builds(
    CompletionChunk,
    texts,
    st.lists(counts, max_size=3).map(tuple),
    st.lists(
        st.builds(TokenLogprob, texts, st.floats(-99, 0), st.tuples(st.tuples(texts, st.floats(-99, 0)))),
        max_size=2,
    ).map(tuple),
    st.sampled_from([None, "stop", "length", "tool_calls"]),
    st.lists(calls, max_size=2).map(tuple),
    st.none() | st.builds(Usage, counts, counts, counts),
    st.none() | st.builds(Timings, st.floats(0, 9), st.floats(0, 9), st.floats(0, 9)),
    texts,
    texts,
    counts,
    st.lists(texts, max_size=2).map(tuple),
)


def over_the_wire(tree):
    return json.loads(json.dumps(tree))


@given(requests)
def test_a_request_arrives_as_it_left(request_):
    assert parse_chat_request(over_the_wire(chat_request_to_json(request_))) == request_


def test_tools_and_schemas_arrive_too():
    request = ChatRequest(
        (Message("user", "x"),),
        tools=(Tool("t", "does", {"type": "object", "properties": {"a": {"enum": [1, None]}}}),),
        tool_choice="t",
        parallel_tool_calls=False,
        response_format=ResponseFormat("json_schema", {"type": "object"}, "n"),
    )
    assert parse_chat_request(over_the_wire(chat_request_to_json(request))) == request


@given(chunks)
def test_a_chunk_arrives_as_it_left(chunk):
    assert parse_chunk(over_the_wire(chunk_to_json(chunk))) == chunk


@given(st.lists(texts, max_size=3).map(tuple), texts)
def test_an_embed_request_arrives_as_it_left(texts_, model):
    request = EmbedRequest(texts_, model)
    assert parse_embed_request(over_the_wire(embed_request_to_json(request))) == request


@pytest.mark.parametrize(
    "error", [ContextLengthExceeded("too long", needed=9, n_ctx=5), RateLimited("slow", retry_after_s=2.5)]
)
def test_an_error_arrives_as_what_it_is_with_its_figures(error):
    again = parse_error(over_the_wire(error_to_json(error)))
    assert type(again) is type(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("name", [name for name in dir(errors) if isinstance(getattr(errors, name), type)])
def test_whatever_class_is_named_an_error_of_ours_comes_back(name):
    assert isinstance(parse_error({"name": name, "what": "w"}), errors.EdgeAgentError)


def test_the_text_of_a_foreign_error_stays_where_it_is():
    assert "secret" not in str(parse_error(error_to_json(ValueError("secret"))))


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {"messages": "Hi"},
        {"messages": [{"role": "root", "content": ""}]},
        {"messages": [{"role": "user", "content": 1}]},
        {"messages": [], "argv": ["rm"]},
        {"messages": [], "sampling": {"temperature": -1}},
        {"messages": [], "sampling": {"temperature": float("nan")}},
        {"messages": [], "sampling": {"max_tokens": 1e30}},
        {"messages": [], "sampling": {"seed": 1.5}},
        *({"messages": [], "sampling": {name: None}} for name in ("temperature", "top_p", "top_k", "min_p")),
        {"messages": [], "sampling": {"grammar": "root ::= x"}},
        {"messages": [], "resume_token_ids": [-1]},
        {"messages": [], "deadline_s": -1},
        {"messages": [{"role": "user", "content": "", "images": [["!!", "x"]]}]},
    ],
)
def test_what_is_not_on_the_list_is_refused_by_name(tree):
    with pytest.raises(ActionParamsInvalid):
        parse_chat_request(tree)


@pytest.mark.parametrize(
    "tree", [{"text": 1}, {"token_ids": ["a"]}, {"usage": [1, "x"]}, {"logprobs": [1]}, {"n_ctx": "x"}]
)
def test_a_chunk_of_the_wrong_shape_is_an_error_of_the_backend(tree):
    with pytest.raises(BackendError):
        parse_chunk(tree)
