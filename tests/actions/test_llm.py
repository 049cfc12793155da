"""llm.call, llm.chat and llm.stream over the scripted backend."""

import pytest
from tests.actions.llm_context import OneBackend, make_context, perform

from the_edge_agent.actions.llm import LLM_ACTIONS
from the_edge_agent.backends.scripted import ScriptedAnswer, ScriptedBackend, tool_call
from the_edge_agent.errors import (
    ActionParamsInvalid,
    BackendUnavailable,
    ContextLengthExceeded,
    PrivacyRefused,
    RateLimited,
    SchemaUnsupported,
    StructuredOutputInvalid,
)
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.nodes import LlmSettings, Settings

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
ADD = {
    "name": "add",
    "description": "Adds",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


def test_every_llm_action_of_the_language_is_there():
    assert set(LLM_ACTIONS) == {name for name in BUILTIN if name.startswith("llm.")}


def test_a_call_returns_the_answer_and_how_it_came_about():
    result = perform("llm.call", {"prompt": "Hi!", "system": "Be nice."}, ScriptedBackend("Hello", n_ctx=100))
    assert result == {
        "content": "Hello",
        "model": "scripted",
        "backend": "scripted",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "cached_tokens": 0},
        "timings": {"queue_s": 0.0, "prefill_s": 0.0, "decode_s": 0.0},
        "tool_calls": [],
        "n_ctx": 100,
        "notices": [],
    }


def test_usage_and_notices_are_reported_to_the_run():
    backend = ScriptedBackend("Hello")
    context = make_context(backend, resolver=OneBackend(backend, notices=("the API answers",)))
    result = perform("llm.call", {"prompt": "Hi!"}, backend, context=context)
    assert context.report.usage.completion_tokens == 5
    assert context.report.notices == result["notices"] == ["the API answers"]


def test_system_messages_and_prompt_come_in_this_order():
    backend = ScriptedBackend("x")
    perform(
        "llm.call",
        {"prompt": "last", "messages": [{"role": "user", "content": "first"}], "system": "top"},
        backend,
    )
    assert [(m.role, m.content) for m in backend.requests[0].messages] == [
        ("system", "top"),
        ("user", "first"),
        ("user", "last"),
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [("plain", "plain"), (5, "5"), (True, "true"), ({"a": [1, "ü"]}, '{"a": [1, "ü"]}'), ([1, 2], "[1, 2]")],
)
def test_content_that_is_no_text_is_written_as_json(content, text):
    backend = ScriptedBackend("x")
    perform("llm.call", {"messages": [{"role": "user", "content": content}]}, backend)
    assert backend.requests[0].messages[0].content == text


def test_text_parts_and_images_are_told_apart():
    backend = ScriptedBackend("x")
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
    ]
    perform("llm.call", {"messages": [{"role": "user", "content": parts}]}, backend)
    message = backend.requests[0].messages[0]
    assert (message.content, message.images[0].data, message.images[0].mime_type) == (
        "What is this?",
        b"hi",
        "image/png",
    )


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ([], "nothing to ask"),
        ([{"role": "system", "content": "x"}], "nothing to ask"),
        (["hello"], r"messages\[0\] is no object"),
        ([{"role": "user"}], r"messages\[0\] has no content"),
        ([{"role": "robot", "content": "x"}], r"messages\[0\]: the role is 'robot'"),
        ([{"role": "user", "content": "x", "contnet": "y"}], "has no key 'contnet'"),
        ([{"role": "user", "content": "x", "tool_calls": [{"name": "a"}]}], "tool_calls on a user turn"),
        ([{"role": "assistant", "tool_calls": [{}]}], "has no name"),
        ([{"role": "user", "content": {1, 2}}], "can't be written as text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "http://x/y.png"}]}], "data URL"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": "data:;base64,%"}]}],
            "isn't base64",
        ),
    ],
)
def test_messages_of_the_wrong_shape_are_refused_by_name(messages, what):
    with pytest.raises(ActionParamsInvalid, match=what):
        perform("llm.call", {"messages": messages}, ScriptedBackend("x"))


def test_sampling_reaches_the_model():
    backend = ScriptedBackend("Hello there")
    result = perform(
        "llm.call", {"prompt": "x", "max_tokens": 4, "temperature": 0.5, "stop": "zzz", "seed": 7}, backend
    )
    sampling = backend.requests[0].sampling
    assert (sampling.temperature, sampling.stop, sampling.seed) == (0.5, ("zzz",), 7)
    assert (result["content"], result["finish_reason"]) == ("Hell", "length")


def test_the_runs_seed_counts_where_the_node_has_none():
    backend = ScriptedBackend("x")
    perform("llm.call", {"prompt": "x"}, backend, seed=42)
    assert backend.requests[0].sampling.seed == 42


def test_the_nearer_deadline_counts():
    backend = ScriptedBackend("x")
    perform("llm.call", {"prompt": "x", "timeout_s": 5}, backend, deadline_s=3.0)
    assert backend.requests[0].deadline_s == 3.0


def test_a_chat_returns_the_conversation_with_the_answer():
    result = perform("llm.chat", {"prompt": "Hi", "system": "s"}, ScriptedBackend("Hello"))
    assert result["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
    ]


def test_a_conversation_with_tool_calls_can_be_fed_back():
    backend = ScriptedBackend([tool_call("add", {"a": 1}), "done"])
    first = perform("llm.chat", {"prompt": "Hi", "tools": [ADD]}, backend)
    answer = {"role": "tool", "tool_call_id": "call_add", "content": 2}
    perform("llm.chat", {"messages": [*first["messages"], answer], "tools": [ADD]}, backend)
    assistant, tool = backend.requests[1].messages[-2:]
    assert (assistant.tool_calls[0].name, tool.content, tool.tool_call_id) == ("add", "2", "call_add")


def test_stream_tells_every_token_and_call_only_where_the_node_says_so():
    for name, stream, wanted in (
        ("llm.stream", False, list("Hi")),
        ("llm.call", False, []),
        ("llm.call", True, list("Hi")),
    ):
        tokens = []
        perform(name, {"prompt": "x"}, ScriptedBackend("Hi"), tokens=tokens, stream=stream)
        assert tokens == wanted


def test_a_json_answer_is_parsed_and_validated():
    schema = {"type": "json_schema", "schema": PERSON}
    result = perform(
        "llm.call", {"prompt": "x", "response_format": schema}, ScriptedBackend('{"name": "Nina"}')
    )
    assert result["json"] == {"name": "Nina"}
    assert (
        perform("llm.call", {"prompt": "x", "response_format": "json_object"}, ScriptedBackend("{}"))["json"]
        == {}
    )


def test_openai_s_spelling_of_a_schema_is_understood():
    backend = ScriptedBackend('{"name": "Nina"}')
    spelled = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    perform("llm.call", {"prompt": "x", "response_format": spelled}, backend)
    assert (backend.requests[0].response_format.name, backend.requests[0].response_format.schema) == (
        "person",
        PERSON,
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Sure! {}", "is no JSON"),
        ('{"name": 5}', "/name: is 5; text is needed"),
        ('{"name": NaN}', "NaN is no JSON number"),
        ('{"name": "x", "age": 1}', "/age: may not be here"),
        ("[" * 100_000, "nested too deep|is no JSON"),
    ],
)
def test_an_answer_that_breaks_the_schema_is_an_error(text, what):
    schema = {"type": "json_schema", "schema": PERSON}
    with pytest.raises(StructuredOutputInvalid, match=what):
        perform("llm.call", {"prompt": "x", "response_format": schema}, ScriptedBackend(text))


def test_a_truncated_answer_is_not_passed_off_as_valid():
    backend = ScriptedBackend('{"name": "Nina"}')
    with pytest.raises(StructuredOutputInvalid, match=r"cut off after 6 tokens \(finish_reason length\)"):
        perform("llm.call", {"prompt": "x", "response_format": "json_object", "max_tokens": 6}, backend)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("xml", ActionParamsInvalid),
        ({"type": "json_schema"}, ActionParamsInvalid),
        ({"type": "json_object", "shcema": {}}, ActionParamsInvalid),
        ({"type": "json_schema", "schema": {"type": "string", "not": {}}}, SchemaUnsupported),
    ],
)
def test_a_bad_response_format_fails_before_any_model_is_asked(value, error):
    backend = ScriptedBackend("x")
    with pytest.raises(error):
        perform("llm.call", {"prompt": "x", "response_format": value}, backend)
    assert backend.requests == []


def test_tool_calls_come_back_with_checked_arguments():
    result = perform(
        "llm.call", {"prompt": "x", "tools": [ADD]}, ScriptedBackend([tool_call("add", {"a": 1})])
    )
    assert result["tool_calls"] == [{"id": "call_add", "name": "add", "arguments": {"a": 1}}]
    assert result["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (tool_call("subtract"), "unknown tool 'subtract'"),
        (tool_call("add", {"a": "1"}), "/a: is '1'"),
        (tool_call("add", {"a": 1, "path": "/etc/passwd"}), "/path: may not be here"),
        (tool_call("add", "a=1"), "is no JSON"),
        (tool_call("add", "[1]"), "are no object"),
    ],
)
def test_a_call_that_does_not_fit_its_tool_is_an_error(call, what):
    with pytest.raises(StructuredOutputInvalid, match=what):
        perform("llm.call", {"prompt": "x", "tools": [ADD]}, ScriptedBackend([call]))


@pytest.mark.parametrize(
    "tools",
    ["add", [5], [{"name": ""}], [{"name": "a b"}], [ADD, ADD], [{**ADD, "parameters": {"type": "array"}}]],
)
def test_tools_of_the_wrong_shape_are_refused(tools):
    with pytest.raises(ActionParamsInvalid):
        perform("llm.call", {"prompt": "x", "tools": tools}, ScriptedBackend("x"))


def test_a_tool_choice_must_name_a_tool():
    with pytest.raises(ActionParamsInvalid, match="choose one of auto, none, required, add"):
        perform("llm.call", {"prompt": "x", "tools": [ADD], "tool_choice": "sub"}, ScriptedBackend("x"))


def test_model_output_is_never_rendered():
    text = "{{ secrets.KEY }} {% for i in range(9) %}x{% endfor %}"
    assert perform("llm.call", {"prompt": "x"}, ScriptedBackend(text))["content"] == text


def test_errors_of_the_backend_keep_their_type():
    with pytest.raises(RateLimited) as caught:
        perform("llm.call", {"prompt": "x"}, ScriptedBackend([RateLimited("slow down", retry_after_s=3)]))
    assert caught.value.retry_after_s == 3


def test_without_backends_the_error_says_what_to_do():
    with pytest.raises(BackendUnavailable, match="no backend to ask; pass backends="):
        perform("llm.call", {"prompt": "x"}, None)


# ── privacy ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def privacy_sent(params, *, leaves, fallback="error"):
    backend = ScriptedBackend("x", leaves_machine=leaves)
    settings = Settings(llm=LlmSettings(fallback=fallback))
    perform("llm.call", {"prompt": "x", **params}, backend, settings=settings)
    return backend.requests[0].privacy


def test_a_local_only_node_never_reaches_a_backend_that_leaves_the_machine():
    backend = ScriptedBackend("x", leaves_machine=True)
    for name in ("llm.call", "llm.chat", "llm.stream"):
        with pytest.raises(PrivacyRefused):
            perform(name, {"prompt": "x", "privacy": "local-only"}, backend)
    with pytest.raises(PrivacyRefused):
        perform("llm.embed", {"text": "x", "privacy": "local-only"}, backend)
    assert backend.requests == backend.embed_requests == []


@pytest.mark.parametrize(
    ("params", "leaves", "fallback", "privacy"),
    [
        ({}, False, "error", "local-only"),
        ({"privacy": "may-leave"}, False, "error", "local-only"),  # may-leave alone gives no leave
        ({}, False, "api", "may-leave"),
        ({"privacy": "local-only"}, False, "api", "local-only"),
        ({}, True, "error", "may-leave"),  # the resolver chose an API, which takes leave
    ],
)
def test_the_request_says_whether_it_may_leave(params, leaves, fallback, privacy):
    assert privacy_sent(params, leaves=leaves, fallback=fallback) == privacy


def test_the_node_s_words_reach_the_resolver():
    backend = ScriptedBackend("x")
    resolver = OneBackend(backend, model="m")
    context = make_context(backend, resolver=resolver, base_dir="/agents")
    words = {
        "model": "big",
        "model_path": "a.gguf",
        "level": "tactical",
        "backend": "auto",
        "privacy": "may-leave",
    }
    perform("llm.call", {"prompt": "x", **words}, backend, context=context)
    choice = resolver.choices[0]
    assert (
        choice.model,
        choice.model_path,
        choice.level,
        choice.backend,
        choice.privacy,
        choice.base_dir,
    ) == (
        *words.values(),
        "/agents",
    )
    assert (backend.requests[0].model, backend.requests[0].level) == ("m", "tactical")


# ── overflow ─────────────────────────────────────────────────────────────────────────────────────────────────────────

LONG = [
    {"role": "system", "content": "S" * 10},
    *({"role": "user" if i % 2 == 0 else "assistant", "content": f"{i}" * 20} for i in range(8)),
    {"role": "user", "content": "the question"},
]


def test_a_prompt_that_does_not_fit_fails_with_both_numbers():
    with pytest.raises(ContextLengthExceeded) as caught:
        perform("llm.call", {"messages": LONG}, ScriptedBackend("x", n_ctx=100))
    assert (caught.value.needed, caught.value.n_ctx) == (182, 100)


def test_truncating_drops_the_oldest_turns_and_says_so():
    backend = ScriptedBackend("x", n_ctx=100)
    result = perform("llm.call", {"messages": LONG, "on_overflow": "truncate_oldest"}, backend)
    sent = [m.content for m in backend.requests[-1].messages]
    assert sent == ["S" * 10, "6" * 20, "7" * 20, "the question"]
    assert result["notices"] == ["the prompt didn't fit 100 tokens: the 6 oldest messages were dropped"]


def test_summarizing_puts_a_summary_where_the_oldest_turns_stood():
    def script(request):
        return "a short one" if request.messages[0].content.startswith("Summarize") else "the answer"

    backend = ScriptedBackend(script, n_ctx=400)
    long = [*LONG[:1], *({**m, "content": m["content"] * 3} for m in LONG[1:])]
    result = perform("llm.call", {"messages": long, "on_overflow": "summarize"}, backend)
    sent = backend.requests[-1].messages
    assert result["content"] == "the answer"
    assert [m.role for m in sent][:2] == ["system", "user"]
    assert sent[1].content.startswith("Summary of the conversation so far: a short one")
    assert sent[-1].content == "the question" * 3
    assert "were summarized" in result["notices"][0]
    assert sum(len(m.content) for m in sent) < 400


def test_a_question_too_long_by_itself_is_never_cut():
    for policy in ("truncate_oldest", "summarize"):
        backend = ScriptedBackend("x", n_ctx=100)
        with pytest.raises(ContextLengthExceeded):
            perform("llm.call", {"messages": LONG, "prompt": "x" * 200, "on_overflow": policy}, backend)


def test_a_tool_s_answer_never_stays_without_its_call():
    messages = [
        {"role": "user", "content": "u" * 30},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "name": "add", "arguments": {}}],
            "content": "c" * 30,
        },
        {"role": "tool", "tool_call_id": "1", "content": "t" * 10},
        {"role": "user", "content": "q" * 10},
    ]
    backend = ScriptedBackend("x", n_ctx=60)
    perform("llm.call", {"messages": messages, "on_overflow": "truncate_oldest"}, backend)
    assert [m.role for m in backend.requests[-1].messages] == ["user"]


def test_logprobs_come_back_where_they_were_asked_for():
    result = perform("llm.call", {"prompt": "x", "logprobs": 2}, ScriptedBackend(ScriptedAnswer("x")))
    assert result["logprobs"] == []
