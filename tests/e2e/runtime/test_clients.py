"""Other people's clients, unchanged, against `tea runtime serve` and the embedded model."""

import json
import subprocess

import httpx
import ollama
import openai
import pytest
from tests.serving.process import daemon

pytestmark = pytest.mark.e2e

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
HELLO = [{"role": "user", "content": "Respond with OK if you are working."}]


@pytest.fixture(scope="module")
def served():
    with daemon() as process:
        yield process


@pytest.fixture
def client(served):
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0) as made:
        yield made


def test_openai_chats_and_streams_the_same_text(client):
    whole = client.chat.completions.create(model="auto", messages=HELLO, temperature=0)
    assert "OK" in whole.choices[0].message.content
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    stream = client.chat.completions.create(
        model="tiny", messages=HELLO, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert (
        "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        == whole.choices[0].message.content
    )
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_openai_is_answered_in_its_schema(client):
    format_ = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}
    messages = [{"role": "user", "content": "Extract name and age as JSON from: Nina is 31 years old."}]
    answer = client.chat.completions.create(
        model="tiny", messages=messages, response_format=format_, max_tokens=200
    )
    assert set(json.loads(answer.choices[0].message.content)) == {"name", "age"}


@pytest.mark.parametrize("stream", [False, True])
def test_openai_gets_the_tool_call_it_requires(client, stream):
    asked = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Add 2 and 3."}],
        "tools": [ADD],
        "tool_choice": "required",
        "max_tokens": 200,
    }
    if stream:
        deltas = [
            chunk.choices[0]
            for chunk in client.chat.completions.create(**asked, stream=True)
            if chunk.choices
        ]
        (call,) = [call for delta in deltas for call in delta.delta.tool_calls or ()]
        reason = deltas[-1].finish_reason
    else:
        choice = client.chat.completions.create(**asked).choices[0]
        (call,), reason = choice.message.tool_calls, choice.finish_reason
    assert call.function.name == "add"
    assert set(json.loads(call.function.arguments)) == {"a", "b"}
    assert reason == "tool_calls"


def test_openai_takes_the_result_of_a_tool(client):
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}
    messages = [
        {"role": "user", "content": "Add 2 and 3."},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "5"},
    ]
    answer = client.chat.completions.create(model="tiny", messages=messages, tools=[ADD], max_tokens=60)
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")


def test_openai_embeds_as_floats_and_as_base64(client):
    as_default = client.embeddings.create(model="tiny", input=["a red apple", "seven boats"])
    as_floats = client.embeddings.create(
        model="tiny", input=["a red apple", "seven boats"], encoding_format="float"
    )
    assert len(as_default.data) == 2
    assert as_default.data[1].embedding == pytest.approx(as_floats.data[1].embedding, abs=1e-6)


def test_openai_lists_models_and_meets_its_own_exceptions(client):
    assert client.models.list().data[0].id == "tiny"
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=HELLO)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "word " * 5000}])
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.body["needed"] > caught.value.body["n_ctx"]


def test_openai_completes_and_uses_the_responses_api(client):
    assert client.completions.create(model="tiny", prompt="What is 2+2?", max_tokens=20).choices[0].text
    whole = client.responses.create(model="tiny", input=HELLO[0]["content"])
    assert "OK" in whole.output_text
    events = list(client.responses.create(model="tiny", input=HELLO[0]["content"], stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_ollama_chats_generates_embeds_lists_and_shows(served):
    client = ollama.Client(host=served.url, timeout=60)
    whole = client.chat("tiny", messages=HELLO)
    assert "OK" in whole.message.content
    parts = list(client.chat("tiny", messages=HELLO, stream=True))
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert parts[-1].done
    assert parts[-1].eval_count >= 1
    assert client.generate("tiny:latest", prompt="What is 2+2?", options={"num_predict": 20}).response
    assert len(client.embed("tiny", input=["a", "b"]).embeddings) == 2
    assert client.list().models[0].model == "tiny:latest"
    assert client.ps().models[0].model == "tiny:latest"
    assert "completion" in client.show("tiny").capabilities
    assert client.pull("tiny").status == "success"
    structured = client.chat("tiny", messages=HELLO, format=SCHEMA, options={"num_predict": 100})
    assert set(json.loads(structured.message.content)) == {"name", "age"}
    called = client.chat("tiny", messages=[{"role": "user", "content": "Add 2 and 3."}], tools=[ADD])
    assert called.done
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("nobody", messages=HELLO)
    assert caught.value.status_code == 404


def test_langchain_invokes_and_streams(served):
    langchain_openai = pytest.importorskip("langchain_openai")
    model = langchain_openai.ChatOpenAI(
        base_url=f"{served.url}/v1", api_key="any", model="tiny", temperature=0
    )
    whole = model.invoke(HELLO[0]["content"])
    assert "OK" in whole.content
    assert "".join(chunk.content for chunk in model.stream(HELLO[0]["content"])) == whole.content
    embedder = langchain_openai.OpenAIEmbeddings(
        base_url=f"{served.url}/v1", api_key="any", model="tiny", check_embedding_ctx_length=False
    )
    assert len(embedder.embed_query("a red apple")) > 8


def test_plain_curl_is_answered(served):
    body = json.dumps({"messages": HELLO})
    url = f"{served.url}/v1/chat/completions"
    for where in ((url,), ("--unix-socket", str(served.socket), "http://localhost/v1/chat/completions")):
        out = subprocess.run(
            ["curl", "-sS", *where, "-d", body], capture_output=True, check=True, timeout=60
        ).stdout
        assert "OK" in json.loads(out)["choices"][0]["message"]["content"]


def test_sse_has_a_blank_line_behind_every_event(served):
    asked = {"messages": HELLO, "stream": True}
    with (
        httpx.Client() as client,
        client.stream("POST", f"{served.url}/v1/chat/completions", json=asked) as response,
    ):
        text = "".join(response.iter_text())
    assert text.endswith("data: [DONE]\n\n")
    assert all(event.startswith(("data: ", ":")) for event in text.split("\n\n") if event)
