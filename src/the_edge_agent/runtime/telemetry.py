"""Spans on their way to a collector: gathered, sent by OTLP over HTTP in batches, dropped rather than waited for.

No answer ever waits for a span. A collector that is away costs spans, which are counted in the log, and nothing else. It knows
nothing of how a route is found, or of edges.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from the_edge_agent import __version__
from the_edge_agent.inference import ChatRequest, CompletionChunk
from the_edge_agent.runtime.router import Route
from the_edge_agent.runtime.span import (
    NO_PARENT,
    Parent,
    Span,
    answer_attributes,
    failure_name,
    otlp_json,
    request_attributes,
)

if TYPE_CHECKING:
    import httpx

MAX_WAITING = 4096
BATCH = 256
SEND_TIMEOUT_S = 5.0

log = logging.getLogger("the_edge_agent.runtime")

#: The trace of the request that the present task answers; edges set it.
current_parent: ContextVar[Parent] = ContextVar("current_parent", default=NO_PARENT)


class Telemetry:
    """Watches answers and sends their spans to ``endpoint`` (its /v1/traces). Use it in ``async with``."""

    def __init__(
        self,
        endpoint: str,
        *,
        service: str = "the-edge-agent",
        headers: dict[str, str] | None = None,
        interval_s: float = 2.0,
    ) -> None:
        self._url = endpoint.rstrip("/").removesuffix("/v1/traces") + "/v1/traces"
        self._service = service
        self._headers = headers or {}
        self._interval_s = interval_s
        self._waiting: deque[Span] = deque()
        self._dropped = 0
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to send."""
        self._sending = asyncio.create_task(self._send_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what is left, within ``SEND_TIMEOUT_S``."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEND_TIMEOUT_S), self._client() as client:
                while self._waiting and await self._send_batch(client):
                    pass

    def watched(
        self, chunks: AsyncIterator[CompletionChunk], request: ChatRequest, route: Callable[[], Route]
    ) -> AsyncGenerator[CompletionChunk]:
        """The same chunks; when they are over, however that is, a span is on its way. ``route`` is asked then."""
        return self._watch(chunks, request, route, current_parent.get())

    async def _watch(
        self,
        chunks: AsyncIterator[CompletionChunk],
        request: ChatRequest,
        route: Callable[[], Route],
        parent: Parent,
    ) -> AsyncGenerator[CompletionChunk]:
        start_ns = time.time_ns()
        first_text_s: float | None = None
        last: CompletionChunk | None = None
        failure = ""
        closing: Any = chunks
        try:
            async with aclosing(closing):
                async for chunk in chunks:
                    if chunk.text and first_text_s is None:
                        first_text_s = (time.time_ns() - start_ns) / 1e9
                    last = chunk if chunk.finish_reason is not None else last
                    yield chunk
        except BaseException as error:
            failure = failure_name(error) if last is None else ""
            raise
        finally:
            target, reason = route().target.name, route().reason
            self._add(
                Span(
                    name=f"chat {target}",
                    trace_id=parent.trace_id or secrets.token_hex(16),
                    span_id=secrets.token_hex(8),
                    parent_id=parent.span_id,
                    start_ns=start_ns,
                    end_ns=time.time_ns(),
                    attributes=request_attributes(request, target, reason)
                    | answer_attributes(last, first_text_s),
                    failure=failure,
                )
            )

    def _add(self, span: Span) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(span)

    async def _send_on(self) -> None:
        async with self._client() as client:
            while True:
                await asyncio.sleep(self._interval_s)
                while self._waiting and await self._send_batch(client):
                    pass

    def _client(self) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(headers=self._headers, timeout=SEND_TIMEOUT_S, trust_env=False)

    async def _send_batch(self, client: httpx.AsyncClient) -> bool:
        """Send the oldest; whether the collector took them. What it refuses is dropped, what it can't take now waits."""
        import httpx

        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            response = await client.post(self._url, json=otlp_json(batch, self._service, __version__))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.debug("spans can't be sent now: %s", type(error).__name__)
            self._waiting.extendleft(reversed(batch))
            return False
        if response.status_code in (429, 502, 503, 504):
            self._waiting.extendleft(reversed(batch))
            return False
        if response.status_code != 200:
            log.warning("%s refused %d spans with %d", self._url, len(batch), response.status_code)
        if self._dropped:
            log.warning("%d spans were dropped while the collector was away", self._dropped)
            self._dropped = 0
        return True
