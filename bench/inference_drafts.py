"""Where guessing ahead pays: prompt lookup, and a draft model that agrees or doesn't. The text is always the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

from bench.inference_speed import QUESTIONS, TINY, best_of
from bench.local_runs import chat_all, words
from bench.memory_bandwidth import share_of_bandwidth
from bench.row import Row, at_least, shown
from bench.synthetic import synthetic_model

from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.inference import ChatRequest, Message, ResponseFormat, SamplingParams, collect
from the_edge_agent.llama.machine import read_machine

COPIES = ("List the days as JSON.",)
REPEATED = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"enum": ["monday", "tuesday"]}, "open": {"const": "from nine to five"}},
        "required": ["name", "open"],
        "additionalProperties": False,
    },
    "minItems": 7,
    "maxItems": 7,
}


def rows(quick: bool) -> Iterator[Row]:
    """All rows about drafts."""
    yield from _lookup(quick)
    threads = read_machine().physical_cores
    yield _draft_model(threads, quick, "tinyllama-draft", "a draft model that agrees", 1.2)
    yield _draft_model(threads, quick, "tinyllama-draft-other", "a draft model that never does", 0.85)


def _lookup(quick: bool) -> Iterator[Row]:
    """Where guessing from the prompt pays: the same texts, with drafts and without."""
    plain = LocalBackend.load(TINY, LocalOptions())
    drafting = LocalBackend.load(TINY, LocalOptions(draft_tokens=8))
    for name, texts, schema in (("repeating text", COPIES, REPEATED), ("chats", QUESTIONS, None)):
        form = ResponseFormat("json_schema", schema) if schema else ResponseFormat()

        def rate(backend: LocalBackend, texts: tuple[str, ...] = texts, form: ResponseFormat = form) -> float:
            async def all_texts() -> int:
                count = 0
                for text in texts:
                    request = ChatRequest(
                        (Message("user", text),), SamplingParams(max_tokens=200), response_format=form
                    )
                    count += (await collect(backend.chat(request))).usage.completion_tokens
                return count

            started = time.perf_counter()
            return asyncio.run(all_texts()) / (time.perf_counter() - started)

        mine, theirs = best_of(
            3 if quick else 10, lambda rate=rate: rate(drafting), lambda rate=rate: rate(plain)
        )
        yield shown(f"inference embedded model, {name}: prompt lookup / none", mine, theirs, "tok/s")
    plain.close()
    drafting.close()


def _draft_model(threads: int, quick: bool, draft: str, what: str, goal: float) -> Row:
    """Two layers of 22 that guess four tokens at a time."""
    path = synthetic_model("tinyllama-1.1b-quiet")
    options = LocalOptions(n_threads=threads, n_ctx=512, cache_cells=0)
    n_tokens = 64  # a draft that never hits pauses longer and longer
    plain = LocalBackend.load(path, options)
    drafting = LocalBackend.load(path, replace(options, draft_model=synthetic_model(draft), draft_tokens=4))

    def rate(backend: LocalBackend) -> float:
        run = chat_all(backend, [words(24)], n_tokens)
        return (run.n_tokens - 1) / run.decode_s

    mine, theirs = best_of(2 if quick else 5, lambda: rate(drafting), lambda: rate(plain))
    plain.close()
    drafting.close()
    note = "without it " + share_of_bandwidth(path, theirs, threads)
    return at_least(f"inference TinyLlama Q4_K_M, {what} / none", mine, theirs, goal, "tok/s", note)
