"""A backend that asks its model only once the run's log is kept. Knows nothing of the model or of the log's place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from the_edge_agent.inference import (
    Backend,
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
)


class CommittedBackend:
    """Another backend behind a barrier, awaited before each request."""

    def __init__(self, backend: Backend, barrier: Callable[[], Awaitable[None]]) -> None:
        self._backend = backend
        self._barrier = barrier

    async def chat(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """As the other one, behind the barrier."""
        await self._barrier()
        async for chunk in self._backend.chat(request):
            yield chunk

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """As the other one, behind the barrier."""
        await self._barrier()
        return await self._backend.embed(request)

    async def count_tokens(self, request: ChatRequest) -> int:
        """As the other one."""
        return await self._backend.count_tokens(request)

    async def describe(self) -> BackendInfo:
        """As the other one."""
        return await self._backend.describe()

    async def aclose(self) -> None:
        """As the other one."""
        await self._backend.aclose()
