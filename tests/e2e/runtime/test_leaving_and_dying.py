"""Clients that leave and processes that die, in every state they can be in: slots, memory and names are free again."""

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from tests.serving.process import daemon, is_alive

pytestmark = pytest.mark.e2e

CONFIG = """
models:
  tiny: {level: operational, parallel: 1}
  other: {path: tiny, parallel: 1}
workers: {backoff_s: 0, ping_s: 0.5, crash_limit: 1000, drain_s: 30}
"""
NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 300, "maxItems": 300}
LONG = {
    "model": "tiny",
    "max_tokens": 1500,
    "stream": True,
    "messages": [{"role": "user", "content": "Count."}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": NUMBERS}},
}
SHORT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


@pytest.fixture(scope="module")
def process():
    with daemon(config=CONFIG) as running:
        yield running


def ask(process, body):
    """A request on a bare socket, so that leaving is closing it."""
    host, port = process.url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    payload = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(payload)}\r\n\r\n"
    client.sendall(head.encode() + payload)
    return client


def model(process, name="tiny"):
    return next(one for one in process.status()["models"] if one["name"] == name)


def answers(process, name="tiny"):
    with process.client() as client:
        response = client.post("/v1/chat/completions", json={**SHORT, "model": name})
        return response.status_code == 200


def is_free(process):
    status = process.status()
    return status["queue"] == 0 and all(one["active"] == 0 for one in status["models"])


@pytest.mark.parametrize("state", ["queue", "load", "prefill", "stream"])
@pytest.mark.parametrize("stream", [True, False], ids=["streaming", "whole"])
def test_a_client_that_leaves_frees_its_place(process, state, stream):
    if state == "queue":
        holder = ask(process, LONG)
        process.until(lambda: model(process)["active"] == 1)
        leaver = ask(process, {**LONG, "stream": stream})
        process.until(lambda: process.status()["queue"] == 1)
        leaver.close()
        process.until(lambda: process.status()["queue"] == 0)
        assert model(process)["active"] == 1
        holder.close()
    elif state == "load":
        with process.client() as client:
            client.post("/edge/v1/unload", json={"model": "other"})
        leaver = ask(process, {**LONG, "model": "other", "stream": stream})
        process.until(lambda: model(process, "other")["phase"] != "unloaded")
        leaver.close()
    else:
        words = "word " * (1500 if state == "prefill" else 1)
        body = {**LONG, "stream": stream, "messages": [{"role": "user", "content": words}], "max_tokens": 300}
        before = model(process)["tokens"]
        leaver = ask(process, body)
        process.until(lambda: model(process)["active"] == 1)
        if state == "stream":
            process.until(lambda: model(process)["tokens"] > before + 3)
        leaver.close()
    process.until(lambda: is_free(process))
    assert answers(process)


@pytest.mark.parametrize("state", ["loading", "idle", "streaming", "draining", "frozen"])
def test_a_worker_that_is_killed_in_any_state_is_replaced_when_it_is_needed(process, state):
    stream = None
    if state == "loading":
        with process.client() as client:
            client.post("/edge/v1/unload", json={"model": "other"})
        asking = threading.Thread(target=answers, args=(process, "other"))
        asking.start()
        process.until(
            lambda: model(process, "other")["phase"] == "loading" and model(process, "other")["pid"]
        )
        pid = model(process, "other")["pid"]
    else:
        assert answers(process, "other")
        pid = model(process, "other")["pid"]
        if state in ("streaming", "draining"):
            stream = ask(process, {**LONG, "model": "other"})
            process.until(lambda: model(process, "other")["active"] == 1)
        if state == "draining":
            unloading = threading.Thread(target=unload, args=(process, "other"))
            unloading.start()
        if state == "frozen":
            os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    if stream is not None:
        stream.close()
    process.until(lambda: not is_alive(pid))
    assert answers(process, "other")
    process.until(lambda: is_free(process))
    assert model(process, "other")["pid"] != pid


def unload(process, name):
    with process.client() as client:
        client.post("/edge/v1/unload", json={"model": name})


def test_a_worker_has_no_port_and_no_file_and_holds_one_end_of_one_socket_pair(process):
    pid = model(process)["pid"]
    held = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[8:-1] for link in held if link.startswith("socket:[")}
    assert inodes
    named, listening = [], []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            if line.split()[9] in inodes:
                listening.append(line)
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[6] in inodes and len(fields) > 7:
            named.append(line)
    assert (listening, named) == ([], [])
    assert not any(link.startswith(("/dev/shm", "/tmp")) for link in held)


def test_a_port_in_use_ends_with_the_reason_and_is_free_again_when_its_holder_is_killed():
    with daemon(config=CONFIG) as first:
        port = first.url.rpartition(":")[2]
        with daemon("--http-port", port, config=CONFIG, start=False) as second:
            second.start(wait=False)
            assert second.wait() == 2
            assert "can't be listened on" in second.log.read_text()
            first.signal(signal.SIGKILL)
            first.wait()
            second.start()
            assert second.url.endswith(f":{port}")
