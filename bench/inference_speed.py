"""Tokens a second: the local backend against llama.cpp itself, llama-cpp-python and llama-server, in one run.

Ours and the peer's measurements take turns and the best of each counts, so that a busy moment hurts neither side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

from bench.llama_peers import BareLoop, BareProcess, LlamaServer, high_level_llama
from bench.local_runs import chat_all, words
from bench.memory_bandwidth import share_of_bandwidth
from bench.row import Row, at_least, shown
from bench.synthetic import synthetic_model

import the_edge_agent
from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.inference import ChatRequest, Message, SamplingParams, collect
from the_edge_agent.llama.machine import read_machine

TINY = Path(the_edge_agent.__file__).parent / "store" / "embedded" / "tiny.gguf"
QUESTIONS = (
    "Who are you?",
    "What is The Edge Agent?",
    "How do I run an agent?",
    "What is 17+25?",
    "What can you do?",
    "Hello",
)


def rows(quick: bool) -> Iterator[Row]:
    """All rows about speed."""
    threads = read_machine().physical_cores
    yield from _single_stream(threads, quick)
    yield from _tiny_model(quick)
    yield from _eight_streams(threads, quick)
    yield from _branches(threads, quick)
    yield from _pace(threads, quick)


def best_of(rounds: int, *measure: Callable[[], float]) -> list[float]:
    """The best (largest) of each measurement; they take turns."""
    best = [0.0] * len(measure)
    for _ in range(rounds):
        for place, one in enumerate(measure):
            best[place] = max(best[place], one())
    return best


def _single_stream(threads: int, quick: bool) -> Iterator[Row]:
    path = synthetic_model("tinyllama-1.1b-q4_k_m")
    n_tokens = 24 if quick else 48
    backend = LocalBackend.load(path, LocalOptions(n_threads=threads, cache_cells=0))
    prompt = words(24)

    def ours() -> float:
        run = chat_all(backend, [prompt], n_tokens)
        return (run.n_tokens - 1) / run.decode_s

    loaded = backend.plan.model
    with BareProcess(path, n_threads=threads, repack=loaded.repack, mapped=bool(loaded.use_mmap)) as bare:
        mine, theirs = best_of(4 if quick else 10, ours, lambda: bare.rate(range(300, 350), n_tokens))
    backend.close()
    note = share_of_bandwidth(path, mine, threads)
    yield at_least("inference TinyLlama Q4_K_M, one stream / bare C loop", mine, theirs, 0.98, "tok/s", note)


def _tiny_model(quick: bool) -> Iterator[Row]:
    backend = LocalBackend.load(TINY, LocalOptions(n_seq_max=len(QUESTIONS)))
    high = high_level_llama(TINY, n_threads=1, n_ctx=2048)
    bare = BareLoop(TINY, n_threads=1)
    requests = [ChatRequest((Message("user", text),), SamplingParams(max_tokens=64)) for text in QUESTIONS]

    async def answer(request: ChatRequest) -> int:
        return (await collect(backend.chat(request))).usage.completion_tokens

    async def in_turn() -> int:
        return sum([await answer(request) for request in requests])

    async def at_once() -> int:
        return sum(await asyncio.gather(*map(answer, requests)))

    def rate(ask: Callable[[], Coroutine[None, None, int]]) -> float:
        started = time.perf_counter()
        return asyncio.run(ask()) / (time.perf_counter() - started)

    def peer() -> float:
        started = time.perf_counter()
        count = 0
        for question in QUESTIONS:
            for _ in high.create_chat_completion(
                [{"role": "user", "content": question}], max_tokens=64, temperature=0, stream=True
            ):
                count += 1
            count -= 2  # the first chunk carries the role, the last the reason
        return count / (time.perf_counter() - started)

    def loop() -> float:
        bare.prefill(range(20))
        return 100 / bare.decode(100)

    one, many, theirs, limit = best_of(
        5 if quick else 20, lambda: rate(in_turn), lambda: rate(at_once), peer, loop
    )
    backend.close()
    high.close()
    bare.close()
    note = share_of_bandwidth(TINY, one, 1)
    name = "inference embedded model, chats"
    yield at_least(f"{name} / llama-cpp-python", one, theirs, 3.0, "tok/s", note)
    yield at_least(f"{name}, six at once / llama-cpp-python", many, theirs, 3.0, "tok/s")
    yield shown(f"{name}, prompts included / bare C loop without", one, limit, "tok/s")


def _eight_streams(threads: int, quick: bool) -> Iterator[Row]:
    path = synthetic_model("tinyllama-1.1b-q4_k_m")
    n_tokens = 16 if quick else 48
    prompts = [words(24, seed) for seed in range(8)]
    backend = LocalBackend.load(path, LocalOptions(n_threads=threads, cache_cells=0))
    count = asyncio.run(backend.count_tokens(ChatRequest((Message("user", prompts[0]),))))
    with LlamaServer(path, n_threads=threads, slots=8, n_ctx=4096) as server:

        def ours() -> float:
            run = chat_all(backend, prompts, n_tokens)
            return run.n_tokens / run.seconds

        def peer() -> float:
            random_prompts = [range(300 + 40 * n, 300 + 40 * n + count) for n in range(8)]
            return 8 * n_tokens / server.complete(random_prompts, n_tokens)

        mine, theirs = best_of(2 if quick else 5, ours, peer)
    backend.close()
    note = share_of_bandwidth(path, mine / 8, threads)
    yield at_least(
        "inference TinyLlama Q4_K_M, 8 streams / llama-server -np 8", mine, theirs, 1.0, "tok/s", note
    )


def _branches(threads: int, quick: bool) -> Iterator[Row]:
    path = synthetic_model("tinyllama-1.1b-q4_k_m")
    n_prefix, n_branches, n_tokens = (250, 8, 8) if quick else (1000, 16, 32)
    prefix = words(n_prefix, 7)
    prompts = [f"{prefix} {words(4, seed)}" for seed in range(n_branches)]
    options = LocalOptions(n_threads=threads, n_ctx=4096, cache_cells=0)
    backend = LocalBackend.load(path, options)
    count = asyncio.run(backend.count_tokens(ChatRequest((Message("user", prompts[0]),))))
    together = chat_all(backend, prompts, n_tokens)
    alone = [chat_all(backend, [prompt], n_tokens).seconds for prompt in prompts[:2]]
    one_by_one = n_branches * n_tokens / (min(alone) * n_branches)
    backend.close()
    rate = together.n_tokens / together.seconds
    note = share_of_bandwidth(path, rate / n_branches, threads) + ", prompt included"
    yield at_least(
        f"inference {n_branches} branches over {count} tokens / one by one",
        rate,
        one_by_one,
        5.0,
        "tok/s",
        note,
    )
    shared = list(range(300, 300 + count - 8))
    with LlamaServer(
        path, n_threads=threads, slots=n_branches, n_ctx=n_branches * (count + n_tokens + 16)
    ) as server:
        seconds = server.complete(
            [[*shared, *range(1000 + 8 * n, 1008 + 8 * n)] for n in range(n_branches)], n_tokens, cache=True
        )
    peer = n_branches * n_tokens / seconds
    yield at_least(
        f"inference {n_branches} branches over {count} tokens / llama-server", rate, peer, 1.2, "tok/s", note
    )


def _pace(threads: int, quick: bool) -> Iterator[Row]:
    """A running stream, before and while a long prompt is prefilled beside it."""
    path = synthetic_model("tinyllama-1.1b-q4_k_m")
    backend = LocalBackend.load(path, LocalOptions(n_threads=threads, n_ctx=6144, cache_cells=0))
    seconds = 4.0 if quick else 12.0

    async def scenario() -> tuple[float, float]:
        stream = backend.chat(ChatRequest((Message("user", words(20)),), SamplingParams()))
        await anext(stream)

        async def pace() -> float:
            started, count = time.perf_counter(), 0
            while (elapsed := time.perf_counter() - started) < seconds:
                count += len((await anext(stream)).token_ids)
            return count / elapsed

        before = await pace()
        long_prompt = ChatRequest((Message("user", words(3900, 3)),), SamplingParams(max_tokens=1))
        task = asyncio.ensure_future(collect(backend.chat(long_prompt)))
        await asyncio.sleep(0)
        beside = await pace()
        if task.done():
            raise RuntimeError("the prompt was too short to measure beside")
        task.cancel()
        after = await pace()
        await stream.aclose()
        # A stream slows down as it grows: what it would have had in the middle lies between.
        return (before + after) / 2, beside

    alone, beside = asyncio.run(scenario())
    backend.close()
    note = share_of_bandwidth(path, beside, threads)
    yield at_least("inference pace beside a 4,000-token prompt / alone", beside, alone, 0.8, "tok/s", note)
