"""What the daemon itself costs: memory, time to first token, swaps, recovery. Peer: the generator in process, same model."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
from bench.http_load import Client, first_token_s, median
from bench.row import Row, at_most, limit
from bench.servers import daemon

from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.inference import ChatRequest, Message, SamplingParams
from the_edge_agent.store.locate import embedded_model_path

PROMPT = "What is The Edge Agent and how do I run an agent with it?"
CONFIG = """
models:
  tiny: {level: operational, parallel: 8, n_ctx: 2048, n_threads: 1}
  other: {path: tiny, parallel: 8, n_ctx: 2048, n_threads: 1, keep_alive_s: null}
workers: {backoff_s: 0, crash_limit: 1000}
"""
#: Until a process stands by again.
STANDBY_S = 2.0


def rows(quick: bool) -> Iterator[Row]:
    """Every row."""
    turns = 30 if quick else 120
    with daemon("models: {}") as (_, pid):
        yield limit("runtime: idle daemon, memory", _resident_mb(pid), 80, "MB")
    with daemon(CONFIG) as (url, _):
        added_s = asyncio.run(_added_s(url, turns))
        yield limit("runtime: added time to first token, p50", max(1000 * added_s, 0.001), 3, "ms")
        same_s, swapped_s = asyncio.run(_swaps_s(url, turns))
        yield at_most(
            "runtime: first token after a swap of loaded models", 1000 * swapped_s, 1000 * same_s, 1.1, "ms"
        )
    silences: list[float] = []
    starts: list[float] = []
    with (
        daemon(CONFIG) as (url, _),
        daemon(CONFIG.replace("{backoff_s", "{standby: false, backoff_s")) as (bare, _),
    ):
        asyncio.run(_start_and_prefill_s(url))
        for _ in range(2 if quick else 5):
            starts.append(asyncio.run(_start_and_prefill_s(bare)))
            time.sleep(STANDBY_S)
            silences.append(asyncio.run(_silence_s(url)))
        yield at_most(
            "runtime: silence when a worker is killed, against start+prefill",
            median(silences),
            median(starts),
            1.0,
            "s",
        )


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def _added_s(url: str, turns: int) -> float:
    """Ours less the generator's own, p50 of each; they take turns, so that a busy moment hurts both."""
    through: list[float] = []
    inside: list[float] = []
    options = LocalOptions(n_seq_max=8, n_ctx=2048, n_threads=1)
    async with LocalBackend.open(embedded_model_path(), options) as backend, Client(url) as client:
        for turn in range(turns + 5):
            inside.append(await _first_token_inside_s(backend, f"{PROMPT} {turn}"))
            through.append((await client.stream(f"{PROMPT} {turn}", max_tokens=2, model="tiny")).first_s)
    return median(through[5:]) - median(inside[5:])


async def _first_token_inside_s(backend: LocalBackend, text: str) -> float:
    request = ChatRequest((Message("user", text),), SamplingParams(max_tokens=2))
    began_s = time.perf_counter()
    first_s = 0.0
    stream: AsyncIterator[Any] = backend.chat(request)
    async for chunk in stream:
        if chunk.text and not first_s:
            first_s = time.perf_counter() - began_s
    return first_s


async def _swaps_s(url: str, turns: int) -> tuple[float, float]:
    """To the first token where the model stays, and where it is another one each time; both are loaded."""
    await first_token_s(url, [PROMPT] * 5, model="other")
    await first_token_s(url, [PROMPT] * 5, model="tiny")
    same: list[float] = []
    swapped: list[float] = []
    async with Client(url) as client:
        for turn in range(turns):
            for model in ("tiny", "other"):
                swapped.append((await client.stream(f"{PROMPT} {turn}", max_tokens=2, model=model)).first_s)
                text = f"{PROMPT} {turn} again"
                same.append((await client.stream(text, max_tokens=2, model=model)).first_s)
    return median(same), median(swapped)


async def _start_and_prefill_s(url: str) -> float:
    """From asking a model that isn't loaded to its first token: start, load, prefill of about as much as is taken up."""
    async with httpx.AsyncClient(base_url=url, timeout=60, verify=False, trust_env=False) as admin:
        await admin.post("/edge/v1/unload", json={"model": "other"})
    return (await first_token_s(url, [PROMPT + " and" * 20], model="other"))[0]


async def _silence_s(url: str) -> float:
    """The longest pause in a stream whose worker is killed in the middle."""
    async with httpx.AsyncClient(base_url=url, timeout=60, verify=False, trust_env=False) as client:
        models = (await client.get("/edge/v1/status")).json()["models"]
        pid = next(model["pid"] for model in models if model["name"] == "other")
        body = {"model": "other", "messages": [{"role": "user", "content": PROMPT}], "stream": True}
        body |= {"max_tokens": 1500, "ignore_eos": True, "temperature": 0}
        longest_s, last_s, events = 0.0, time.perf_counter(), 0
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                if '"error"' in line:
                    raise RuntimeError(line)
                now_s = time.perf_counter()
                longest_s, last_s, events = max(longest_s, now_s - last_s), now_s, events + 1
                if events == 20:
                    os.kill(pid, signal.SIGKILL)
        models = (await client.get("/edge/v1/status")).json()["models"]
        if pid == next(model["pid"] for model in models if model["name"] == "other"):
            raise RuntimeError("the worker wasn't killed")
        return longest_s
