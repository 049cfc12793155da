"""What a model answers: a stream of chunks, and the completion they add up to. Knows nothing of transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from the_edge_agent.inference.messages import ToolCall

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "cancelled"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. ``cached_tokens`` are the prompt's tokens that needed no prefill."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds as the backend measured them; 0 where it can't."""

    queue_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A sampled token, its natural-log probability, and the best alternatives as (text, logprob)."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class CompletionChunk:
    """A piece of the stream. ``text`` is whole UTF-8. The last chunk carries ``finish_reason``, usage, model, backend,
    ``n_ctx`` (the effective context, 0 if unknown) and the whole ``tool_calls``; earlier ones leave them empty.
    """

    text: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    timings: Timings | None = None
    model: str = ""
    backend: str = ""
    n_ctx: int = 0
    notices: tuple[str, ...] = ()
    """What a reader should know of how this answer came about: a fallback taken, messages dropped."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer."""

    text: str
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    logprobs: tuple[TokenLogprob, ...] = ()
    token_ids: tuple[int, ...] = ()
    model: str = ""
    backend: str = ""
    n_ctx: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector a text, in the request's order; all of one length."""

    vectors: tuple[tuple[float, ...], ...]
    model: str = ""
    backend: str = ""
    usage: Usage = field(default_factory=Usage)


async def collect(stream: AsyncIterator[CompletionChunk]) -> Completion:
    """Drain a stream into one Completion. A stream that ends without a finish_reason counts as cancelled."""
    chunks = [chunk async for chunk in stream]
    last = chunks[-1] if chunks else CompletionChunk()
    return Completion(
        text="".join(chunk.text for chunk in chunks),
        finish_reason=last.finish_reason or "cancelled",
        tool_calls=last.tool_calls,
        usage=last.usage or Usage(),
        timings=last.timings or Timings(),
        logprobs=tuple(entry for chunk in chunks for entry in chunk.logprobs),
        token_ids=tuple(token for chunk in chunks for token in chunk.token_ids),
        model=last.model,
        backend=last.backend,
        n_ctx=last.n_ctx,
        notices=tuple(notice for chunk in chunks for notice in chunk.notices),
    )
