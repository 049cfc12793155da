"""The runtime backend: the daemon answers, through its Unix socket. A stream outlives the daemon that began it.

The ids of every chunk are kept. When the connection breaks, the backend waits for the daemon to be back and asks for the same
answer behind those ids, so a daemon that was killed or restarted costs a pause and no token. Knows nothing of how models
are loaded or routed there.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from the_edge_agent.backends.runtime_answers import parse_chunk, parse_embeddings, parse_error, parse_info
from the_edge_agent.backends.runtime_fields import Json
from the_edge_agent.backends.runtime_requests import chat_request_to_json, embed_request_to_json
from the_edge_agent.errors import BackendError, BackendTimeout, BackendUnavailable
from the_edge_agent.inference import BackendInfo, ChatRequest, CompletionChunk, Embeddings, EmbedRequest

if TYPE_CHECKING:
    import httpx

BACKEND = "runtime"
RETRY_S = 0.2


class _ConnectionLost(Exception):
    """The daemon went away in mid-answer."""


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """``reconnect_s``: how long to wait for a daemon that went away. ``priority``: lower goes first in its queue."""

    reconnect_s: float = 30.0
    connect_s: float = 5.0
    priority: int = 0
    escalate: bool = False


def runtime_answers(socket_path: Path) -> bool:
    """Whether a daemon listens there now. Never on a system without Unix sockets."""
    if not hasattr(socket, "AF_UNIX"):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(str(socket_path))
        except OSError:
            return False
        return True


class RuntimeBackend:
    """Answers through the daemon at ``socket_path``. Opens nothing until it is asked."""

    def __init__(self, socket_path: Path, options: RuntimeOptions | None = None) -> None:
        self._socket_path = socket_path
        self._options = options or RuntimeOptions()
        self._opened: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def chat(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """Stream the answer; goes on behind what was said when the daemon comes back within ``reconnect_s``.

        Raises:
            BackendUnavailable: no daemon answers, or it stayed away.
            EdgeAgentError: the daemon's own error.
        """
        emitted = list(request.resume_token_ids)
        can_resume, has_begun = True, False
        while True:
            stream: Any = self._stream(replace(request, resume_token_ids=tuple(emitted)))
            try:
                async with aclosing(stream) as chunks:
                    async for chunk in chunks:
                        has_begun = True
                        emitted += chunk.token_ids
                        can_resume = can_resume and (bool(chunk.token_ids) or not chunk.text)
                        yield chunk
                        if chunk.finish_reason is not None:
                            return
            except _ConnectionLost:
                if not can_resume:
                    raise BackendUnavailable(
                        "the daemon went away in mid-answer and what it had said can't be taken up",
                        place=BACKEND,
                        fix="ask again",
                    ) from None
                await self._wait_for_daemon(has_begun=has_begun)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed texts. Raises as ``chat`` does."""
        return replace(
            parse_embeddings(await self._call("embed", request=embed_request_to_json(request))),
            backend=BACKEND,
        )

    async def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens, for the model that would answer."""
        tokens = (await self._call("count", request=chat_request_to_json(request))).get("tokens")
        if not isinstance(tokens, int):
            raise BackendError("the daemon counted no tokens", place=BACKEND)
        return tokens

    async def describe(self) -> BackendInfo:
        """The daemon's operational model."""
        return replace(parse_info(await self._call("describe")), backend=BACKEND)

    async def preload(self, models: Sequence[str]) -> None:
        """Tell the daemon which models will be asked soon, in order. It loads them where that takes nothing from anybody."""
        await self._call("preload", models=list(models))

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        client, self._opened = self._opened, None
        if client is not None:
            await client.aclose()

    # Over the wire.

    @property
    def _client(self) -> httpx.AsyncClient:
        if self._opened is None:
            import httpx

            transport = httpx.AsyncHTTPTransport(uds=str(self._socket_path), verify=False)
            timeout = httpx.Timeout(None, connect=self._options.connect_s)
            self._opened = httpx.AsyncClient(
                transport=transport, base_url="http://localhost", timeout=timeout
            )
        return self._opened

    async def _stream(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        import httpx

        options = self._options
        body: Json = {
            "request": chat_request_to_json(request),
            "priority": options.priority,
            "escalate": options.escalate,
        }
        try:
            async with self._client.stream("POST", "/edge/v1/chat", json=body) as response:
                if response.status_code != 200:
                    raise _error_of(await response.aread())
                async for line in response.aiter_lines():
                    if line:
                        yield _chunk_of(line)
            raise _ConnectionLost  # whoever heard the last chunk has left before
        except httpx.ConnectTimeout:
            raise BackendTimeout("the daemon didn't accept the connection", place=BACKEND) from None
        except httpx.TransportError:
            raise _ConnectionLost from None

    async def _call(self, verb: str, **body: Any) -> Mapping[str, Any]:
        import httpx

        while True:
            try:
                if body:
                    response = await self._client.post(f"/edge/v1/{verb}", json=body)
                else:
                    response = await self._client.get(f"/edge/v1/{verb}")
            except httpx.TransportError:
                await self._wait_for_daemon(has_begun=False)
                continue
            if response.status_code != 200:
                raise _error_of(response.content)
            return _object_of(response.content)

    async def _wait_for_daemon(self, *, has_begun: bool) -> None:
        """Return when the daemon listens again. Nobody ever there is an error at once, unless an answer had begun."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + self._options.reconnect_s
        was_there = has_begun or self._socket_path.exists()
        while not runtime_answers(self._socket_path):
            if not was_there or loop.time() >= give_up_s:
                raise BackendUnavailable(
                    f"no daemon answers at {self._socket_path}",
                    place=BACKEND,
                    fix="start one with `tea runtime serve`",
                )
            await asyncio.sleep(RETRY_S)


def _object_of(text: str | bytes) -> Mapping[str, Any]:
    try:
        tree: Any = json.loads(text)
    except ValueError:
        raise BackendError("the daemon's answer isn't JSON", place=BACKEND) from None
    if not isinstance(tree, dict):
        raise BackendError("the daemon's answer is no object", place=BACKEND)
    return tree  # pyright: ignore[reportUnknownVariableType]


def _chunk_of(line: str) -> CompletionChunk:
    tree = _object_of(line)
    if "error" in tree:
        raise parse_error(tree["error"])
    chunk = parse_chunk(tree)
    return replace(chunk, backend=BACKEND) if chunk.finish_reason is not None else chunk


def _error_of(body: bytes) -> Exception:
    error = _object_of(body).get("error")
    return parse_error(error.get("edge_agent") if isinstance(error, dict) else None)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
