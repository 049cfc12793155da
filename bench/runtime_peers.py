"""The daemon against llama-server of the same llama.cpp: same GGUF, context, slots, threads, requests; they take turns.

The rows run where that binary is built: ``.venv/bin/python packaging/llama/build.py server --into .venv``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from bench.http_load import first_token_s, median, tokens_per_s
from bench.row import Row, at_least, at_most
from bench.servers import daemon, llama_server, llama_server_binary
from bench.synthetic import synthetic_model

from the_edge_agent.llama.machine import read_machine
from the_edge_agent.store.locate import embedded_model_path

SLOTS, N_CTX, N_TOKENS = 8, 2048, 64
PROMPT = "What is The Edge Agent and how do I run an agent with it?"


def rows(quick: bool) -> Iterator[Row]:
    """Every row."""
    binary = llama_server_binary()
    if binary is None:
        raise RuntimeError(
            "llama-server is not built: .venv/bin/python packaging/llama/build.py server --into .venv"
        )
    yield from _beside_each_other(binary, quick)
    yield _cold(binary, quick)


def _beside_each_other(binary: str, quick: bool) -> Iterator[Row]:
    tiny = embedded_model_path()
    config = f"models: {{tiny: {{level: operational, parallel: {SLOTS}, n_ctx: {N_CTX}, n_threads: 1}}}}"
    seconds, rounds = (2.0, 2) if quick else (8.0, 3)
    with (
        daemon(config) as (ours, _),
        llama_server(binary, tiny, slots=SLOTS, n_ctx=N_CTX, n_threads=1) as theirs,
    ):
        for clients in (1, 8, 32, 128):

            def measure(url: str, clients: int = clients) -> float:
                return asyncio.run(tokens_per_s(url, clients, seconds, N_TOKENS))

            best = _in_turns(rounds, max, lambda: measure(ours), lambda: measure(theirs))
            yield at_least(f"runtime: {clients} clients, against llama-server", *best, 0.95, "tok/s")
        texts = [f"{PROMPT} {turn}" for turn in range(20 if quick else 60)]

        def first(url: str) -> float:
            return 1000 * median(asyncio.run(first_token_s(url, texts)))

        best = _in_turns(rounds, min, lambda: first(ours), lambda: first(theirs))
        yield at_most("runtime: time to first token, against llama-server", *best, 1.1, "ms")


def _cold(binary: str, quick: bool) -> Row:
    """From nothing loaded to the first token of a model of TinyLlama's shape; the file is in the page cache for both."""
    path = synthetic_model("tinyllama-1.1b-q4_k_m")
    path.read_bytes()
    threads = read_machine().physical_cores
    config = f"models: {{big: {{path: {path}, parallel: 1, n_ctx: {N_CTX}, n_threads: {threads}}}}}"
    with daemon(config) as (url, _):

        def ours() -> float:
            httpx.post(f"{url}/edge/v1/unload", json={"model": "big"}, timeout=60, trust_env=False)
            return asyncio.run(first_token_s(url, [PROMPT], model="big"))[0]

        best = _in_turns(2 if quick else 4, min, ours, lambda: _cold_peer_s(binary, path, threads))
    return at_most("runtime: cold load of a 1.1B to its first token", *best, 1.1, "s")


def _cold_peer_s(binary: str, path: Path, threads: int) -> float:
    began_s = time.perf_counter()
    with llama_server(binary, path, slots=1, n_ctx=N_CTX, n_threads=threads) as url:
        asyncio.run(first_token_s(url, [PROMPT]))
        return time.perf_counter() - began_s


def _in_turns(
    rounds: int,
    better: Callable[[float, float], float],
    ours: Callable[[], float],
    theirs: Callable[[], float],
) -> tuple[float, float]:
    """The better figure of each."""
    best = (ours(), theirs())
    for _ in range(rounds - 1):
        best = (better(best[0], ours()), better(best[1], theirs()))
    return best
