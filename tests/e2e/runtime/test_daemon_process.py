"""`tea runtime serve` as a process: started, killed, restarted, told to stop. Real workers, the embedded model."""

import asyncio
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from tests.rounds import rounds
from tests.serving.process import daemon, is_alive

from the_edge_agent.backends.runtime import RuntimeBackend, RuntimeOptions, runtime_answers
from the_edge_agent.errors import BackendUnavailable, ContextLengthExceeded
from the_edge_agent.inference import ChatRequest, EmbedRequest, Message, SamplingParams, collect
from the_edge_agent.store.locate import embedded_model_path

pytestmark = pytest.mark.e2e

QUICK = """
models: {tiny: {level: operational, parallel: 8}}
workers: {ping_s: 0.2, ping_timeout_s: 1.0, crash_limit: 100000, backoff_s: 0, kill_s: 1, drain_s: 1}
shutdown_s: 5
"""
#: Grammar makes even a tiny model talk for long.
COUNTING = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "schema": {"type": "array", "items": {"type": "integer"}, "minItems": 60, "maxItems": 60},
        },
    }
}


def talk(number):
    """A request whose answer has a few hundred tokens."""
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": f"Count from {number}."}],
        "max_tokens": 400,
    }
    return {**body, **COUNTING}


def said(process, number, timeout=60):
    """The text of a stream, and whether it ended as it should."""
    text, events = "", []
    with (
        process.client() as client,
        client.stream("POST", "/v1/chat/completions", json={**talk(number), "stream": True}) as r,
    ):
        for line in r.iter_lines():
            if line.startswith("data: "):
                events.append(line)
                if line != "data: [DONE]":
                    tree = json.loads(line.removeprefix("data: "))
                    assert "error" not in tree, tree
                    text += tree["choices"][0]["delta"].get("content") or ""
    assert events[-1] == "data: [DONE]"
    return text


def all_said(process, numbers, during=lambda: None):
    """The texts of streams that run at once, while something happens."""
    texts = {}
    threads = [threading.Thread(target=lambda n=n: texts.__setitem__(n, said(process, n))) for n in numbers]
    for thread in threads:
        thread.start()
    during()
    for thread in threads:
        thread.join(120)
    return [texts.get(number) for number in numbers]


def free_slots(process):
    status = process.status()
    return status["queue"] == 0 and all(model["active"] == 0 for model in status["models"])


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_worker_that_is_killed_or_frozen_costs_eight_streams_a_pause_and_no_token(tmp_path, capsys):
    fates = random.Random(11)
    pauses = {"killed": [], "frozen": []}
    model = shutil.copy(
        embedded_model_path(), tmp_path / "tiny.gguf"
    )  # its own: a replaced file ends a stream
    config = QUICK.replace("parallel: 8}", f"parallel: 8, path: {model}}}")
    with daemon(config=config) as process:
        expected = all_said(process, range(8))
        assert all(len(text) > 100 for text in expected)

        def kill(frozen):
            time.sleep(fates.uniform(0.0, 0.6))
            pid = process.worker_pids()[0]
            before = time.monotonic()
            os.kill(pid, signal.SIGSTOP if frozen else signal.SIGKILL)
            process.until(lambda: [other for other in process.worker_pids() if other != pid])
            process.until(lambda: process.status()["models"][0]["phase"] == "ready")
            pauses["frozen" if frozen else "killed"].append(time.monotonic() - before)

        for turn in range(rounds(2, 10, 200)):
            texts = all_said(process, range(8), lambda frozen=turn % 5 == 4: kill(frozen))
            assert texts == expected, f"round {turn}"
            process.until(lambda: free_slots(process))
        status = process.status()["models"][0]
        with capsys.disabled():
            print(f"\n{'worker':<8} {'rounds':>6} {'pause p50':>10} {'longest':>8}")
            for fate, spans in pauses.items():
                if spans:
                    p50_s, longest_s = sorted(spans)[len(spans) // 2], max(spans)
                    print(f"{fate:<8} {len(spans):>6} {p50_s:>8.2f} s {longest_s:>6.2f} s")
            print(
                f"every stream of {8 * turn + 8} equals the undisturbed one; {status['resumed']} were resumed"
            )
        assert status["resumed"] > 0


@pytest.mark.parametrize("state", ["starting", "idle", "streaming", "draining"])
def test_a_daemon_that_is_killed_leaves_no_worker_no_lock_and_no_wedged_socket(state):
    with daemon(config=QUICK, start=False) as process:
        process.start(wait=state != "starting")
        pids = []
        if state == "starting":
            process.until(lambda: b"starting" in process.log.read_bytes())
        else:
            pids = process.worker_pids()
        stream = None
        if state in ("streaming", "draining"):
            stream = process.client()
            opened = stream.stream("POST", "/v1/chat/completions", json={**talk(1), "stream": True})
            next(opened.__enter__().iter_bytes())
        if state == "draining":
            process.signal(signal.SIGTERM)
        process.signal(signal.SIGKILL)
        process.wait()
        process.folder.joinpath("log").write_text("")
        before = set(pids)
        process.start()
        deadline = time.monotonic() + 10
        while any(is_alive(pid) for pid in before) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not any(is_alive(pid) for pid in before)
        assert said(process, 1)
        if stream is not None:
            stream.close()


def test_sigterm_lets_the_running_answer_finish_takes_nothing_new_and_exits_0():
    with daemon(config=QUICK) as process:
        expected = said(process, 1)
        pids = process.worker_pids()

        def stop():
            process.until(lambda: process.status()["models"][0]["active"] == 1)
            process.signal(signal.SIGTERM)

        assert all_said(process, [1], stop) == [expected]
        assert process.wait() == 0
        assert not any(is_alive(pid) for pid in pids)
        assert not process.socket.exists()


def test_a_second_sigterm_stops_at_once():
    config = QUICK.replace("shutdown_s: 5", "shutdown_s: 600")
    many = {"type": "array", "items": {"type": "integer"}, "minItems": 300, "maxItems": 300}
    format_ = {"type": "json_schema", "json_schema": {"schema": many}}
    body = {**talk(1), "max_tokens": 1900, "response_format": format_, "stream": True}
    with daemon(config=config) as process, process.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            lines = response.iter_lines()
            next(lines)
            process.signal(signal.SIGTERM)
            process.until(lambda: not runtime_listens(process.url))
            process.signal(signal.SIGTERM)
            with pytest.raises(httpx.TransportError):
                list(lines)
        assert process.wait(20) == 0


def runtime_listens(url):
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_a_second_daemon_on_the_same_socket_is_refused_and_the_first_lives_on():
    with daemon(config=QUICK) as process:
        command = [
            sys.executable,
            "-m",
            "the_edge_agent.cli",
            "runtime",
            "serve",
            "--http-port",
            "0",
            "--grpc-port",
            "0",
        ]
        second = subprocess.run(
            check=False,
            args=[*command, "--socket", str(process.socket)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 1
        assert "is serving" in second.stderr
        assert runtime_answers(process.socket)


def test_a_stale_socket_file_is_replaced_and_another_file_is_not():
    with daemon(config=QUICK, start=False) as process:
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(process.socket))
        stale.close()
        process.start()
        assert oct(process.socket.stat().st_mode)[-3:] == "600"
        process.stop()
        process.socket.write_text("precious")
        process.start(wait=False)
        assert process.wait() == 2
        assert process.socket.read_text() == "precious"


@pytest.mark.parametrize(
    ("config", "code", "why"),
    [
        (QUICK + "boot: {expected: XYZZY}", 1, "boot check"),
        ("models: {gone: {path: /no/such.gguf}}", 1, "there is no file /no/such.gguf"),
        ("http: {host: 0.0.0.0}", 2, "no API key is configured"),
        ("api_key_env: NO_SUCH_KEY", 2, "NO_SUCH_KEY is empty"),
        ("modles: {}", 2, "unknown key 'modles'"),
    ],
)
def test_what_can_not_work_ends_with_a_reason_and_a_code(config, code, why):
    with daemon(config=config, start=False) as process:
        process.start(wait=False)
        assert process.wait() == code
        log = process.log.read_text()
        assert why in log
        assert "Traceback" not in log


def test_sighup_reads_the_configuration_again_and_a_mistake_changes_nothing():
    with daemon(config=QUICK) as process:
        path = process.folder / "runtime.yaml"
        path.write_text(QUICK.replace("parallel: 8}", "parallel: 8}, other: {path: tiny}"))
        process.signal(signal.SIGHUP)
        process.until(lambda: len(process.status()["models"]) == 2)
        path.write_text("models: [")
        process.signal(signal.SIGHUP)
        process.until(lambda: "stays as it was" in process.log.read_text())
        assert len(process.status()["models"]) == 2


def test_an_idle_model_is_unloaded_by_the_clock_and_loaded_again_when_asked():
    config = QUICK.replace("parallel: 8}", "parallel: 8}, other: {path: tiny, keep_alive_s: 0.3}")
    with daemon(config=config) as process, process.client() as client:
        body = {"model": "other", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
        for _ in range(2):
            assert client.post("/v1/chat/completions", json=body).status_code == 200
            process.until(lambda: process.status()["models"][1]["phase"] == "unloaded")


def test_systemd_is_told_of_readiness_life_and_the_end(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        path = str(tmp_path / "n")[-100:]
        telling.bind(path)
        telling.settimeout(60)
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"}
        with daemon(config=QUICK, environ=environ) as process:
            heard = [telling.recv(1000) for _ in range(3)]
            assert heard[0].startswith(b"READY=1")
            assert heard[1:] == [b"WATCHDOG=1"] * 2
            process.signal(signal.SIGTERM)
            while not (message := telling.recv(1000)).startswith(b"STOPPING=1"):
                assert message == b"WATCHDOG=1"
            assert process.wait() == 0


REQUEST = ChatRequest(
    (Message("user", "Respond with OK if you are working."),), SamplingParams(max_tokens=20)
)


async def test_the_runtime_backend_answers_embeds_counts_describes_and_preloads():
    with daemon(config=QUICK) as process:
        async with RuntimeBackend(process.socket) as backend:
            answer = await collect(backend.chat(REQUEST))
            assert "OK" in answer.text
            assert (answer.backend, answer.model) == ("runtime", "tiny")
            assert len((await backend.embed(EmbedRequest(("a", "b")))).vectors) == 2
            assert await backend.count_tokens(REQUEST) == answer.usage.prompt_tokens
            assert (await backend.describe()).n_ctx == answer.n_ctx
            await backend.preload(["tiny", "unknown"])
            with pytest.raises(ContextLengthExceeded):
                await collect(backend.chat(ChatRequest((Message("user", "word " * 9000),))))


async def test_a_stream_of_the_runtime_backend_outlives_a_daemon_that_is_killed():
    from the_edge_agent.inference import ResponseFormat

    schema = COUNTING["response_format"]["json_schema"]["schema"]
    request = ChatRequest(
        (Message("user", "Count from 1."),),
        SamplingParams(max_tokens=400),
        response_format=ResponseFormat("json_schema", schema),
    )
    with daemon(config=QUICK) as process:
        async with RuntimeBackend(process.socket) as backend:
            expected = (await collect(backend.chat(request))).text
            text = ""
            killed = False
            async for chunk in backend.chat(request):
                text += chunk.text
                if not killed and len(text) > 20:
                    killed = True
                    process.signal(signal.SIGKILL)
                    await asyncio.to_thread(process.wait)
                    await asyncio.to_thread(process.start)
            assert killed
            assert text == expected


async def test_without_a_daemon_the_runtime_backend_says_so_at_once(tmp_path):
    async with RuntimeBackend(tmp_path / "none", RuntimeOptions(reconnect_s=60)) as backend:
        with pytest.raises(BackendUnavailable, match="tea runtime serve"):
            await collect(backend.chat(REQUEST))


def test_a_reload_that_is_asked_for_while_it_starts_does_not_end_it():
    def catches_sighup():
        status = Path(f"/proc/{process.process.pid}/status").read_text()
        return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) & 1

    with daemon(config=QUICK, start=False) as process:
        process.start(wait=False)
        process.until(catches_sighup)
        while b"\nready" not in process.log.read_bytes():
            process.signal(signal.SIGHUP)
            process.until(lambda: True)
            time.sleep(0.02)
        process.signal(signal.SIGHUP)
        process.until(lambda: "configuration read again" in process.log.read_text())


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_clients_that_come_leave_and_swap_models_leave_every_slot_free_and_memory_flat(capsys):
    more = "b: {path: tiny, parallel: 4, keep_alive_s: 0.2}, c: {path: tiny, parallel: 4}"
    config = QUICK.replace("parallel: 8}", f"parallel: 8}}, {more}").replace("drain_s: 1", "drain_s: 60")
    seconds, clients = rounds(8, 30, 300), rounds(16, 64, 128)
    with daemon(config=config) as process:
        asyncio.run(flood(process, seconds / 4, clients))
        process.until(lambda: free_slots(process))
        before = resident_bytes(process.process.pid)
        counts = asyncio.run(flood(process, seconds, clients))
        process.until(lambda: free_slots(process))
        after = resident_bytes(process.process.pid)
        starts = process.log.read_text().count(": starting")
        with capsys.disabled():
            print(
                f"\n{'clients':>7} {'seconds':>7} {'answered':>8} {'left':>6} {'refused':>7} {'lost':>4}",
                end=" ",
            )
            print(f"{'loads':>5} {'memory before':>13} {'after':>7}")
            print(f"{clients:>7} {seconds:>7} {counts['answered']:>8} {counts['left']:>6}", end=" ")
            print(f"{counts['refused']:>7} {counts['lost']:>4} {starts:>5} {before / 1e6:>10.1f} MB", end=" ")
            print(f"{after / 1e6:>4.1f} MB; every slot is free")
        assert counts["lost"] == 0
        assert counts["answered"] > 0
        assert starts > 3
        assert after < before * 1.15 + 5_000_000


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def flood(process, seconds, clients):
    """Clients that ask, some leaving in the middle, some of a model that is unloaded again and again; how it went."""
    counts = {"answered": 0, "left": 0, "refused": 0, "lost": 0}
    until_s = time.monotonic() + seconds

    async def one(number):
        fates = random.Random(number)
        async with httpx.AsyncClient(
            base_url=process.url, timeout=120, trust_env=False, verify=False
        ) as client:
            while time.monotonic() < until_s:
                body = {
                    "model": fates.choice(["tiny", "tiny", "b", "c", "auto"]),
                    "messages": [
                        {"role": "user", "content": f"What is {fates.randrange(99)}+{fates.randrange(99)}?"}
                    ],
                    "max_tokens": 24,
                    "stream": fates.random() < 0.7,
                }
                leaves_s = fates.uniform(0.0, 0.5) if fates.random() < 0.3 else None
                try:
                    async with asyncio.timeout(leaves_s):
                        response = await client.post("/v1/chat/completions", json=body)
                except TimeoutError:
                    counts["left"] += 1
                    continue
                if response.status_code == 429:
                    counts["refused"] += 1
                    await asyncio.sleep(float(response.headers["retry-after"]))
                elif (
                    response.status_code == 200
                    and ("[DONE]" in response.text) == body["stream"]
                    and "error" not in response.text
                ):
                    counts["answered"] += 1
                else:
                    counts["lost"] += 1
                    print(response.status_code, response.text[-500:])

    async def swap():
        async with httpx.AsyncClient(
            base_url=process.url, timeout=120, trust_env=False, verify=False
        ) as client:
            while time.monotonic() < until_s:
                for name in ("b", "c"):
                    await asyncio.sleep(0.3)
                    assert (await client.post("/edge/v1/unload", json={"model": name})).status_code == 200

    await asyncio.gather(swap(), *(one(number) for number in range(clients)))
    return counts
