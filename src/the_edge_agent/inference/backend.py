"""The Backend protocol: whatever answers a ChatRequest. Knows nothing of models on disk or of sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from the_edge_agent.inference.chunks import CompletionChunk, Embeddings
from the_edge_agent.inference.request import ChatRequest, EmbedRequest


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """Who answers: ``backend`` (local, runtime, openai, scripted, wllama), the model, its context, what it can do."""

    backend: str
    model: str
    n_ctx: int = 0
    leaves_machine: bool = False
    features: frozenset[str] = frozenset()
    """Of: chat, embed, tools, json_schema, images, logprobs."""


@runtime_checkable
class Backend(Protocol):
    """Answers chat requests as a stream. ``chat`` is the method that matters; the rest is for planning."""

    def chat(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """Stream the answer. Closing the iterator early cancels the work. Errors are BackendError or LlamaError."""
        ...

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed texts. Raises UnsupportedFeature where the model can't."""
        ...

    async def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens of the request as this backend would send it."""
        ...

    async def describe(self) -> BackendInfo:
        """Who answers, without asking the model anything."""
        ...

    async def aclose(self) -> None:
        """Release what the backend owns. Safe to call twice."""
        ...
