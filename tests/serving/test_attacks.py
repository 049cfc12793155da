"""Attacks on the HTTP edge: values that make no sense, names that are paths, text that costs time, prompts that would leave."""

import json

import pytest
from tests.serving.house import fake, serving

from the_edge_agent.backends.scripted import ScriptedBackend
from the_edge_agent.inference import ChatRequest, Message
from the_edge_agent.runtime.config import (
    GatewayConfig,
    LimitsConfig,
    ModelConfig,
    ProviderConfig,
    RuntimeConfig,
)
from the_edge_agent.runtime.gateway import Gateway
from the_edge_agent.runtime.registry import configured_models
from the_edge_agent.runtime.router import MAX_SCANNED_CHARACTERS, measure_request
from the_edge_agent.settings import load_settings
from the_edge_agent.store.locate import embedded_model_path

NUMBERS = (
    *(
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "repeat_penalty",
    ),
    *("frequency_penalty", "presence_penalty", "top_logprobs", "priority", "deadline_s", "n"),
)
SENSELESS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e308",
    "1e308",
    "9" * 400,
    '"7"',
    "true",
    "[]",
    "{}",
    "0.5",
)
HELLO = {"messages": [{"role": "user", "content": "Hi"}], "logprobs": True}


@pytest.mark.parametrize("name", NUMBERS)
async def test_a_number_that_makes_no_sense_is_refused_or_harmless_and_never_a_failure(tmp_path, name):
    async with serving(tmp_path, fake()) as house:
        for value in SENSELESS:
            body = json.dumps(HELLO)[:-1] + f', "{name}": {value}}}'
            response = await house.client.post("/v1/chat/completions", content=body)
            assert response.status_code in (200, 400), (value, response.text)
            if response.status_code == 400:
                assert name.removeprefix("top_") in response.text or "logprobs" in response.text
        assert house.daemon.manager.status("fake").crashes == 0


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/chat", "options"),
        ("/api/generate", "options"),
        ("/v1/responses", "temperature"),
        ("/v1/completions", "max_tokens"),
        ("/v1/embeddings", "deadline_s"),
        ("/edge/v1/chat", "priority"),
        ("/edge/v1/chat", "request"),
    ],
)
async def test_every_api_refuses_what_makes_no_sense(tmp_path, path, field):
    async with serving(tmp_path, fake()) as house:
        bases = {
            "/api/generate": {"prompt": "Hi"},
            "/v1/responses": {"input": "Hi"},
            "/v1/completions": {"prompt": "Hi"},
            "/v1/embeddings": {"input": "Hi"},
            "/edge/v1/chat": {"request": {"messages": [{"role": "user", "content": "Hi"}]}},
        }
        for value in ('{"num_predict": NaN}', '{"top_k": 1e999}', '{"sampling": {"top_k": NaN}}', *SENSELESS):
            body = bases.get(path, {**HELLO, "stream": False}) | {field: "@"}
            response = await house.client.post(path, content=json.dumps(body).replace('"@"', value))
            assert response.status_code in (200, 400), (value, response.text)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "a\\..\\b", "a%00b", "hf:../../x", "~/x"]
)
async def test_a_name_that_is_a_path_opens_nothing_on_any_api(tmp_path, name):
    async with serving(tmp_path, fake()) as house:
        for path, body in (
            ("/v1/chat/completions", {**HELLO, "model": name}),
            ("/api/show", {"model": name}),
            ("/v1/embeddings", {"input": "x", "model": name}),
            ("/edge/v1/load", {"model": name}),
            ("/edge/v1/unload", {"model": name}),
            (f"/v1/agents/{name}/runs", {"input": {}}),
            ("/v1/agents/x/runs", {"input": {}, "run_id": name}),
        ):
            response = await house.client.post(path, json=body)
            assert response.status_code in (400, 404, 405), (path, response.text)
        for path in (f"/edge/v1/logs/{name}", f"/v1/models/{name}", f"/v1/agents/x/runs/{name}/events"):
            response = await house.client.get(path)
            assert response.status_code in (400, 404), (path, response.text)
        assert [model.name for model in house.daemon.registered()] == ["fake"]


async def test_a_last_event_id_that_is_no_number_is_no_failure(tmp_path):
    async with serving(tmp_path, fake()) as house:
        header = {"last-event-id": "\u00b2".encode("latin-1")}
        response = await house.client.get("/v1/agents/x/runs/y/events", headers=header)
        assert response.status_code == 404


def test_only_so_much_of_a_prompt_is_searched_for_words():
    def words(text):
        return measure_request(ChatRequest((Message("user", text),))).hard_words

    assert words("prove " + "x " * 10) == ("prove",)
    assert words("prove " + "x" * MAX_SCANNED_CHARACTERS) == ()


async def test_a_giant_schema_is_refused_by_every_api(tmp_path):
    schema = {"enum": ["x" * 5000]}
    limits = LimitsConfig(schema_bytes=2000)
    format_ = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    tool = {"type": "function", "function": {"name": "t", "parameters": schema}}
    text_format = {"format": {"type": "json_schema", "name": "s", "schema": schema}}
    inner = {"messages": HELLO["messages"]}
    async with serving(tmp_path, fake(), limits=limits) as house:
        for path, body in (
            ("/v1/chat/completions", {**HELLO, "response_format": format_}),
            ("/v1/chat/completions", {**HELLO, "tools": [tool]}),
            ("/api/chat", {**HELLO, "format": schema}),
            ("/api/chat", {**HELLO, "tools": [tool]}),
            ("/api/generate", {"prompt": "Hi", "format": schema}),
            ("/v1/responses", {"input": "Hi", "text": text_format}),
            (
                "/edge/v1/chat",
                {"request": {**inner, "response_format": {"type": "json_schema", "schema": schema}}},
            ),
            ("/edge/v1/chat", {"request": {**inner, "tools": [{"name": "t", "parameters": schema}]}}),
        ):
            response = await house.client.post(path, json=body)
            assert response.status_code == 400, (path, response.text)
            assert "2000 are allowed" in response.text
        assert house.daemon.manager.status("fake").requests == 0


def test_what_lies_beside_a_model_sets_no_flag_and_no_command(tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    model = folder / "model.gguf"
    model.symlink_to(embedded_model_path())
    environment = load_settings({"HOME": str(tmp_path), "PATH": "/bin"})
    config = RuntimeConfig(models={"m": ModelConfig(path=str(model))})
    before = configured_models(config, environment)["m"]
    for name, text in (
        ("generation_config.json", '{"temperature": 2, "n_gpu_layers": -1}'),
        ("config.json", '{"command": ["sh", "-c", "id"], "n_ctx": 9}'),
        ("Modelfile", "PARAMETER num_ctx 9\nADAPTER ./evil.gguf\n"),
        ("params", "--host 0.0.0.0 --n-gpu-layers 99"),
        ("model.yaml", "worker: llama-server\nllama_server: /bin/sh\n"),
        ("model.gguf.args", "--log-file /tmp/x"),
        ("tokenizer_config.json", '{"chat_template": "{{ cycler.__init__.__globals__ }}"}'),
        ("runtime.yaml", "offline: false"),
    ):
        (folder / name).write_text(text)
    assert configured_models(config, environment)["m"] == before


class Outside:
    """A gateway whose provider notes whatever reaches it."""

    def __init__(self, folder):
        self.backend = ScriptedBackend("from outside")
        provider = ProviderConfig(base_url="http://127.0.0.1:1", model="big")
        self.config = GatewayConfig(providers={"cloud": provider})
        self.gateway = Gateway(
            self.config, {}, folder / "spending.json", lambda: "2026-01", lambda *_: self.backend
        )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": "cloud"}),
        ("/v1/chat/completions", {"level": "strategic"}),
        ("/v1/chat/completions", {"model": "strategic"}),
        ("/v1/chat/completions", {"model": "auto", "escalate": True, "must_contain": ["never said"]}),
        ("/v1/chat/completions", {"model": "cloud", "privacy": "local-only"}),
        ("/v1/chat/completions", {"model": "cloud", "privacy": "MAY-LEAVE"}),
        ("/v1/completions", {"model": "cloud", "prompt": "secret"}),
        ("/v1/responses", {"model": "cloud", "input": "secret"}),
        ("/v1/embeddings", {"model": "cloud", "input": "secret"}),
        ("/api/chat", {"model": "cloud"}),
        ("/api/generate", {"model": "cloud", "prompt": "secret"}),
        (
            "/edge/v1/chat",
            {"request": {"model": "cloud", "messages": [{"role": "user", "content": "secret"}]}},
        ),
        (
            "/edge/v1/count",
            {"request": {"model": "cloud", "messages": [{"role": "user", "content": "secret"}]}},
        ),
        ("/edge/v1/preload", {"models": ["cloud", "strategic"]}),
        ("/edge/v1/load", {"model": "cloud"}),
    ],
)
async def test_a_prompt_without_leave_never_reaches_a_provider(tmp_path, path, body):
    outside = Outside(tmp_path)
    async with serving(tmp_path, fake(), gateway=outside) as house:
        await house.client.post(path, json={"messages": [{"role": "user", "content": "secret"}], **body})
        assert outside.backend.requests == []


async def test_a_prompt_with_leave_does(tmp_path):
    outside = Outside(tmp_path)
    async with serving(tmp_path, fake(), gateway=outside) as house:
        response = await house.chat("not secret", model="cloud", privacy="may-leave")
        assert response.json()["choices"][0]["message"]["content"] == "from outside"
        assert len(outside.backend.requests) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "\ud800"}]}),
        ("/v1/completions", {"prompt": "\ud800"}),
        ("/v1/responses", {"input": "Hi", "instructions": "\ud800"}),
        ("/v1/embeddings", {"input": "\ud800", "model": "auto"}),
        ("/api/generate", {"prompt": "\ud800", "model": "auto"}),
    ],
)
async def test_text_that_is_no_unicode_is_the_callers_mistake(tmp_path, path, body):
    async with serving(tmp_path) as house:
        response = await house.client.post(path, content=json.dumps(body))
        assert response.status_code == 400, response.text
        assert "surrogate" in response.text
