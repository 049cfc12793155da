"""What the daemon adds: time to first token, throughput, memory, swaps, recovery. Peer: the generator in process, same model.

Rows against llama-server run where its binary is built (``packaging/llama/build.py server``) and on PATH or named by
``TEA_BENCH_LLAMA_SERVER``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from bench.row import Row, at_least, at_most, limit

from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.inference import ChatRequest, Message, SamplingParams
from the_edge_agent.store.locate import embedded_model_path

PROMPT = "What is The Edge Agent and how do I run an agent with it?"
LONG_SCHEMA = {"type": "array", "items": {"type": "integer"}, "minItems": 40, "maxItems": 40}


def rows(quick: bool) -> Iterator[Row]:
    """Every row."""
    turns = 15 if quick else 60
    with _daemon() as (url, pid):
        yield limit("runtime: idle daemon, memory", _resident_mb(pid), 80, "MB")
        ours = asyncio.run(_first_tokens_over_http(url, turns))
        peer = asyncio.run(_first_tokens_in_process(turns))
        added_ms = 1000 * (ours - peer)
        yield limit("runtime: added time to first token, p50", max(added_ms, 0.001), 3, "ms")
        yield limit("runtime: recovery of a stream whose worker is killed", _recovery_s(url), 5, "s")
        throughputs = {clients: _throughput(url, clients, quick) for clients in (1, 8, 32, 128)}
    server = os.environ.get("TEA_BENCH_LLAMA_SERVER") or shutil.which("llama-server")
    if server is None:
        return
    with _llama_server(server) as url:
        for clients, ours in throughputs.items():
            peer = _throughput(url, clients, quick)
            yield at_least(f"runtime: {clients} clients against llama-server", ours, peer, 0.95, "tok/s")
        theirs = asyncio.run(_first_tokens_over_http(url, turns))
    with _daemon() as (url, _):
        ours = asyncio.run(_first_tokens_over_http(url, turns))
        yield at_most(
            "runtime: time to first token against llama-server", 1000 * ours, 1000 * theirs, 1.1, "ms"
        )


@contextmanager
def _daemon() -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory(prefix="tea") as folder:
        environ = {**os.environ, "HOME": folder, "TEA_DATA_DIR": folder, "TEA_RUNTIME_SOCKET": f"{folder}/s"}
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
        process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
        try:
            said = ""
            assert process.stderr is not None
            while "ready:" not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
            yield re.search(r"HTTP on (\S+)", said)[1], process.pid  # type: ignore[index]
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def _llama_server(binary: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        binary,
        "-m",
        str(embedded_model_path()),
        "--port",
        str(port),
        "-c",
        "16384",
        "-np",
        "8",
        "-t",
        "1",
    ]
    process = subprocess.Popen(
        [*command, "--log-disable"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.TransportError:
                assert process.poll() is None
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def _first_tokens_over_http(url: str, turns: int) -> float:
    spans: list[float] = []
    async with httpx.AsyncClient(base_url=url, timeout=60, verify=False) as client:
        for turn in range(turns):
            body = {
                "messages": [{"role": "user", "content": f"{PROMPT} {turn}"}],
                "max_tokens": 2,
                "stream": True,
                "temperature": 0,
            }
            began = time.perf_counter()
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                async for line in response.aiter_lines():
                    if '"content":"' in line and '"content":""' not in line:
                        spans.append(time.perf_counter() - began)
                        break
    return statistics.median(spans)


async def _first_tokens_in_process(turns: int) -> float:
    spans: list[float] = []
    async with LocalBackend.open(embedded_model_path(), LocalOptions(n_seq_max=8)) as backend:
        for turn in range(turns):
            request = ChatRequest((Message("user", f"{PROMPT} {turn}"),), SamplingParams(max_tokens=2))
            began = time.perf_counter()
            stream: AsyncIterator = backend.chat(request)
            async for chunk in stream:
                if chunk.text:
                    spans.append(time.perf_counter() - began)
                    break
            await stream.aclose()  # type: ignore[attr-defined]
    return statistics.median(spans)


def _throughput(url: str, clients: int, quick: bool) -> float:
    return asyncio.run(_tokens_per_s(url, clients, 3.0 if quick else 10.0))


async def _tokens_per_s(url: str, clients: int, seconds: float) -> float:
    tokens = 0
    format_ = {"type": "json_schema", "json_schema": {"name": "n", "schema": LONG_SCHEMA}}
    until = time.perf_counter() + seconds

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        nonlocal tokens
        while time.perf_counter() < until:
            body = {
                "messages": [{"role": "user", "content": f"Count from {number}."}],
                "max_tokens": 128,
                "temperature": 0,
            }
            answer = (
                await client.post("/v1/chat/completions", json={**body, "response_format": format_})
            ).json()
            tokens += answer["usage"]["completion_tokens"]

    began = time.perf_counter()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=300, verify=False, limits=limits) as client:
        await asyncio.gather(*(ask(client, number) for number in range(clients)))
    return tokens / (time.perf_counter() - began)


def _recovery_s(url: str) -> float:
    """The longest silence in a stream whose worker is killed in the middle of it."""
    with httpx.Client(base_url=url, timeout=120, verify=False) as client:
        pid = client.get("/edge/v1/status").json()["models"][0]["pid"]
        format_ = {"type": "json_schema", "json_schema": {"name": "n", "schema": LONG_SCHEMA}}
        body = {
            "messages": [{"role": "user", "content": "Count."}],
            "max_tokens": 200,
            "stream": True,
            "response_format": format_,
        }
        longest, last, lines = 0.0, time.perf_counter(), 0
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                if not line.startswith("data: {"):
                    continue
                assert "error" not in json.loads(line.removeprefix("data: "))
                longest, last, lines = (
                    max(longest, time.perf_counter() - last),
                    time.perf_counter(),
                    lines + 1,
                )
                if lines == 5:
                    os.kill(pid, signal.SIGKILL)
    return longest
