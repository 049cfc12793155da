"""Runs of the local backend for benchmarks: many chats at once, and how long they took."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from the_edge_agent.backends.local import LocalBackend
from the_edge_agent.inference import ChatRequest, Message, SamplingParams


@dataclass(frozen=True)
class Run:
    """Tokens that came out, seconds in all, and seconds from the first token to the last."""

    n_tokens: int
    seconds: float
    decode_s: float


def chat_all(backend: LocalBackend, prompts: Sequence[str], n_tokens: int) -> Run:
    """Send all prompts at once and read the streams to their end."""

    async def one(text: str) -> tuple[int, float, float]:
        request = ChatRequest((Message("user", text),), SamplingParams(max_tokens=n_tokens))
        count, first, last = 0, 0.0, 0.0
        async for chunk in backend.chat(request):
            if chunk.token_ids:
                last = time.perf_counter()
                first = first or last
                count += len(chunk.token_ids)
        return count, first, last

    async def everything() -> list[tuple[int, float, float]]:
        return await asyncio.gather(*(one(prompt) for prompt in prompts))

    started = time.perf_counter()
    results = asyncio.run(everything())
    seconds = time.perf_counter() - started
    counts = [count for count, _, _ in results]
    if min(counts) < n_tokens * 0.9:
        raise RuntimeError(f"a stream ended after {min(counts)} of {n_tokens} tokens")
    decode_s = max(last for _, _, last in results) - min(first for _, first, _ in results)
    return Run(sum(counts), seconds, decode_s)


def words(count: int, seed: int = 0) -> str:
    """Text of about so many tokens in the synthetic vocabulary."""
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("etaoinshr", k=3)) for _ in range(count))
