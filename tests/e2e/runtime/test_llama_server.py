"""The other kind of worker: llama.cpp's own server, built from the source that is vendored, behind the same daemon."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from tests.serving.process import daemon, is_alive

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[3]
HELLO = {"messages": [{"role": "user", "content": "Respond with OK if you are working."}], "max_tokens": 40}
PRODUCT = {
    "messages": [{"role": "user", "content": "What is The Edge Agent?"}],
    "max_tokens": 60,
    "model": "other",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    script = str(ROOT / "packaging/llama/build.py")
    subprocess.run(
        [sys.executable, script, "server", "--into", str(prefix)], check=True, stdout=subprocess.DEVNULL
    )
    config = f"""
models:
  tiny: {{level: operational}}
  other: {{path: tiny, worker: llama-server, n_ctx: 1024, parallel: 2}}
workers: {{llama_server: {prefix}/bin/llama-server, crash_limit: 100, backoff_s: 0, ping_s: 0.2, ping_timeout_s: 5}}
"""
    with daemon(config=config) as process, process.client() as client:
        yield process, client


def text_of(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def test_it_answers_as_the_other_kind_does(served):
    _, client = served
    for body in (HELLO, PRODUCT):
        theirs = text_of(client.post("/v1/chat/completions", json={**body, "model": "other"}))
        assert theirs == text_of(client.post("/v1/chat/completions", json={**body, "model": "tiny"}))


def test_a_schema_holds_and_a_prompt_that_does_not_fit_is_refused(served):
    _, client = served
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    format_ = {"type": "json_schema", "json_schema": {"schema": schema}}
    answer = text_of(client.post("/v1/chat/completions", json={**PRODUCT, "response_format": format_}))
    assert set(json.loads(answer)) == {"a"}
    long = {"model": "other", "messages": [{"role": "user", "content": "word " * 2000}]}
    error = client.post("/v1/chat/completions", json=long).json()["error"]
    assert (error["code"], error["n_ctx"]) == ("context_length_exceeded", 1024)


NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 30, "maxItems": 30}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": NUMBERS}}


@pytest.mark.parametrize(
    "fields", [{}, {"response_format": FORMAT, "max_tokens": 200}], ids=["text", "schema"]
)
def test_a_stream_goes_on_when_the_server_is_killed_and_no_process_is_left(served, fields):
    process, client = served
    expected = text_of(client.post("/v1/chat/completions", json={**PRODUCT, **fields}))
    pid = next(model["pid"] for model in process.status()["models"] if model["name"] == "other")
    text = ""
    with client.stream(
        "POST", "/v1/chat/completions", json={**PRODUCT, **fields, "stream": True}
    ) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                tree = json.loads(line.removeprefix("data: "))
                assert "error" not in tree
                text += tree["choices"][0]["delta"].get("content") or ""
                if pid and text:
                    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                    os.kill(pid, signal.SIGKILL)
                    killed, pid = [pid, *map(int, children)], 0
    assert text == expected
    give_up = time.monotonic() + 10
    while any(is_alive(one) for one in killed):
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_its_server_is_reached_only_through_a_private_folder_and_with_a_key_that_no_command_line_shows(
    served,
):
    process, client = served
    text_of(client.post("/v1/chat/completions", json={**HELLO, "model": "other"}))
    pid = next(model["pid"] for model in process.status()["models"] if model["name"] == "other")
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
    address = Path(command[command.index("--host") + 1])
    key = next(
        entry.removeprefix("LLAMA_API_KEY=")
        for entry in Path(f"/proc/{child}/environ").read_text().split("\0")
        if entry.startswith("LLAMA_API_KEY=")
    )
    assert len(key) > 40
    assert not any(key in word for word in command)
    assert oct(address.parent.stat().st_mode)[-3:] == "700"
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(address)), base_url="http://localhost", timeout=60
    ) as stranger:
        assert stranger.post("/completion", json={"prompt": "x"}).status_code == 401
        right = {"authorization": f"Bearer {key}"}
        assert (
            stranger.post("/completion", json={"prompt": "x", "n_predict": 1}, headers=right).status_code
            == 200
        )
    sockets = {str(entry.readlink()) for entry in Path(f"/proc/{child}/fd").iterdir()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{child}/net/{table}").read_text().splitlines()[1:]:
            assert f"socket:[{line.split()[9]}]" not in sockets


def test_ignore_eos_goes_on_until_the_limit(served):
    _, client = served
    answer = client.post("/v1/chat/completions", json={**HELLO, "model": "other", "ignore_eos": True}).json()
    assert answer["usage"]["completion_tokens"] == HELLO["max_tokens"]
    assert answer["choices"][0]["finish_reason"] == "length"
