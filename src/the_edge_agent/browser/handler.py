"""The backend of a page that answers model calls itself: each request goes to the page's handler. Knows no model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from the_edge_agent.browser.wllama import Host
from the_edge_agent.errors import UnsupportedFeature
from the_edge_agent.inference import (
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    Message,
    Usage,
)

BACKEND = "handler"


class HandlerBackend:
    """Asks the page. Tools and response formats are passed on, and checked by whoever reads the answer."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def chat(self, request: ChatRequest) -> AsyncGenerator[CompletionChunk]:
        """Stream what the handler says."""
        usage: dict[str, int] = {}
        async with aclosing(self._host.stream("page.chat", _as_json(request))) as events:
            async for event in events:
                if event["text"]:
                    yield CompletionChunk(event["text"])
                usage = event.get("usage") or usage
        yield CompletionChunk(
            finish_reason="stop",
            usage=Usage(usage.get("promptTokens", 0), usage.get("completionTokens", 0)),
            model=BACKEND,
            backend=BACKEND,
        )

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """The handler's vectors, where it makes any."""
        vectors: list[list[float]] = await self._host.call("page.embed", {"texts": list(request.texts)})
        return Embeddings(tuple(map(tuple, vectors)), model=BACKEND, backend=BACKEND)

    async def count_tokens(self, request: ChatRequest) -> int:
        """Nobody knows here."""
        del request
        raise UnsupportedFeature(
            "the page's handler doesn't count tokens", fix="shorten the prompt in the agent"
        )

    async def describe(self) -> BackendInfo:
        """The page."""
        return BackendInfo(BACKEND, BACKEND, features=frozenset({"chat", "embed"}))

    async def aclose(self) -> None:
        """Nothing is owned here."""


def _as_json(request: ChatRequest) -> dict[str, Any]:
    """OpenAI's shape, as far as handlers need it."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "messages": [_message(message) for message in request.messages],
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop),
    }
    if request.response_format.type != "text":
        wanted: dict[str, Any] = {"type": request.response_format.type}
        if request.response_format.schema is not None:
            named = {"name": request.response_format.name, "schema": request.response_format.schema}
            wanted["json_schema"] = named
        body["response_format"] = wanted
    return body


def _message(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        found["tool_call_id"] = message.tool_call_id
    return found
