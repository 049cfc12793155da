"""Asks an API that speaks OpenAI's chat completions: OpenAI itself, llama-server, vLLM, Ollama and many others.

What it promises: nothing leaves the machine unless the request says ``may-leave`` (an API on this machine's loopback
counts as here); the key goes to the configured origin alone, and into no log or error; a stream that breaks off is an
error and never a short answer. Retrying is the node's business. httpx is imported at the first request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from the_edge_agent.backends.openai_errors import status_error, stream_error
from the_edge_agent.backends.openai_wire import (
    ChatReader,
    chat_body,
    embed_body,
    is_object,
    parse_embeddings,
    parse_usage,
)
from the_edge_agent.backends.sse import SseReader
from the_edge_agent.errors import (
    BackendError,
    BackendNotInstalled,
    BackendTimeout,
    BackendUnavailable,
    EdgeAgentError,
    PrivacyRefused,
    SettingInvalid,
    UnsupportedFeature,
)
from the_edge_agent.inference import (
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    Privacy,
)

if TYPE_CHECKING:
    import httpx

FEATURES = frozenset({"chat", "embed", "tools", "json_schema", "images", "logprobs"})
CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 120.0
"""Longest silence of a server; pings count as words."""
MAX_ANSWER_SIZE_BYTES = 64_000_000
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LIMIT_NAMES = {"api.openai.com": "max_completion_tokens"}


class OpenAIBackend:
    """A Backend over HTTP. Close it, or use it in ``async with``.

    ``base_url`` ends before ``/chat/completions`` (https://api.openai.com/v1). ``key_env`` is the name of the variable
    that held ``api_key``: errors name it. Raises SettingInvalid for a base_url or a key that can't be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str = "",
        api_key: str = "",
        key_env: str = "OPENAI_API_KEY",
        idle_timeout_s: float = IDLE_TIMEOUT_S,
    ) -> None:
        self._base_url, self._host = _checked_url(base_url)
        self._key = _checked_key(api_key, key_env)
        self._key_env = key_env
        self._model = model
        self._idle_timeout_s = idle_timeout_s
        self._client: httpx.AsyncClient | None = None
        self._place = f"API {self._host}"

    def __repr__(self) -> str:
        return f"OpenAIBackend({self._base_url!r}, model={self._model!r})"

    async def __aenter__(self) -> Self:
        """Itself; the connection opens at the first request."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.aclose()

    async def chat(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """Stream the answer. Closing the iterator closes the connection.

        Raises:
            PrivacyRefused: the request is local-only and the API isn't on this machine.
            BackendError: its subclasses by the table of openai_errors; the key is never in them.
            ContextLengthExceeded: the API says so.
        """
        self._check_privacy(request.privacy)
        if request.resume_token_ids:
            raise UnsupportedFeature("an API can't go on behind given tokens", place=self._place)
        limit_name = _LIMIT_NAMES.get(self._host, "max_tokens")
        body = chat_body(request, model=request.model or self._model, limit_name=limit_name)
        deadline = _Deadline(request.deadline_s)
        async with self._boundary(request.deadline_s):
            reader = ChatReader()
            answer = self._events(body)
            try:
                while (event := await deadline.within(anext(answer, None))) is not None:
                    if event.get("error"):
                        raise stream_error(event, place=self._place)
                    if (chunk := reader.feed(event)) is not None:
                        yield chunk
            finally:
                await answer.aclose()
            yield reader.last("openai")

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Vectors of the texts, in order. Raises as ``chat`` does."""
        self._check_privacy(request.privacy)
        body = embed_body(request, model=request.model or self._model)
        async with self._boundary(request.deadline_s), asyncio.timeout(request.deadline_s):
            async with self._post("/embeddings", body) as response:
                value = _parse_json(await _whole(response))
            vectors = parse_embeddings(value, len(request.texts))
            model = value.get("model")
            name = model if isinstance(model, str) else self._model
            return Embeddings(vectors, name, "openai", parse_usage(value))

    async def count_tokens(self, request: ChatRequest) -> int:
        """An estimate, rather too high: an API counts only what it answers. A third of the UTF-8 bytes."""
        return sum(len(message.content.encode("utf-8", "replace")) // 3 + 8 for message in request.messages)

    async def describe(self) -> BackendInfo:
        """Who answers; the context's length isn't known (0)."""
        return BackendInfo("openai", self._model, 0, self._host not in _LOOPBACK, FEATURES)

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _events(self, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any]]:
        """The decoded events of a stream that ended as it should."""
        async with self._post("/chat/completions", body) as response:
            if "text/event-stream" not in response.headers.get("content-type", ""):
                yield _parse_json(await _whole(response))  # a server that doesn't stream
                return
            reader = SseReader()
            size = 0
            async for data in response.aiter_bytes():
                size += len(data)
                if size > MAX_ANSWER_SIZE_BYTES:
                    raise BackendError(f"the API sent more than {MAX_ANSWER_SIZE_BYTES} bytes")
                for event in reader.feed(data):
                    if event.strip() == "[DONE]":
                        return
                    yield _parse_json(event.encode("utf-8"))
        raise BackendUnavailable("the API's stream ended before [DONE]", fix="retry")

    @asynccontextmanager
    async def _post(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[httpx.Response]:
        """One POST; what isn't 200 is raised. Redirects aren't followed: neither prompt nor key may go elsewhere."""
        client = self._open()
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        async with client.stream("POST", f"{self._base_url}{path}", content=content) as response:
            if response.status_code != 200:
                data = await _whole(response, limit=100_000)
                raise status_error(
                    response.status_code,
                    response.headers,
                    data,
                    place=self._place,
                    key_env=self._key_env,
                    now_s=time.time(),
                )
            yield response

    def _open(self) -> httpx.AsyncClient:
        if self._client is not None:
            return self._client
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        client: httpx.AsyncClient = _httpx(self._place).AsyncClient(
            headers=headers,
            timeout=_httpx(self._place).Timeout(self._idle_timeout_s, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            verify=self._base_url.startswith(
                "https:"
            ),  # loading certificates takes 100 ms that plain HTTP can do without
        )
        self._client = client
        return client

    @asynccontextmanager
    async def _boundary(self, deadline_s: float | None) -> AsyncGenerator[None]:
        """The one place where foreign errors become ours, and where the key is taken out of every text."""
        httpx = _httpx(self._place)
        try:
            yield
        except EdgeAgentError as error:
            error.place = error.place or self._place
            error.what, error.fix = self._redacted(error.what), self._redacted(error.fix)
            error.args = (error.what,)
            raise
        except TimeoutError:
            raise BackendTimeout(
                f"the API hadn't answered after {deadline_s} s", place=self._place, fix="raise timeout_s"
            ) from None
        except httpx.ConnectTimeout:
            raise self._unavailable(f"no connection within {CONNECT_TIMEOUT_S:g} s") from None
        except httpx.TimeoutException:
            raise BackendTimeout(
                f"the API was silent for {self._idle_timeout_s:g} s", place=self._place, fix="retry"
            ) from None
        except httpx.ConnectError as error:
            raise self._unavailable(f"no connection: {error}") from None
        except httpx.HTTPError as error:
            raise self._unavailable(f"the connection broke: {error or type(error).__name__}") from None
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, an endless event
            raise BackendError(
                f"the API sent what can't be read: {self._redacted(str(error))[:200]}", place=self._place
            ) from None

    def _unavailable(self, what: str) -> BackendUnavailable:
        return BackendUnavailable(
            self._redacted(what)[:300], place=self._place, fix="is it running, and is base_url right?"
        )

    def _redacted(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _check_privacy(self, privacy: Privacy) -> None:
        if privacy != "may-leave" and self._host not in _LOOPBACK:
            raise PrivacyRefused(
                "the prompt may not leave this machine",
                place=self._place,
                fix="say backend: api or fallback: api in the file, or --backend api",
            )


class _Deadline:
    """What is left of a request's time, counted from its start and not from each chunk."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def within(self, step: Any) -> Any:
        """Wait for a step. Raises TimeoutError once the deadline has passed."""
        async with asyncio.timeout_at(self._end):
            return await step


async def _whole(response: httpx.Response, limit: int = MAX_ANSWER_SIZE_BYTES) -> bytes:
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > limit:
            if response.status_code != 200:
                return bytes(data[:limit])
            raise BackendError(f"the API sent more than {limit} bytes")
    return bytes(data)


def _parse_json(data: bytes) -> Mapping[str, Any]:
    value = json.loads(data)
    if not is_object(value):
        raise BackendError("the API sent something that is no object")
    return value


def _httpx(place: str) -> Any:
    """The module, imported at first use: it takes 50 ms that nobody else should pay."""
    try:
        import httpx
    except ImportError:
        raise BackendNotInstalled(
            "an API needs httpx, which isn't installed", place=place, fix="pip install httpx"
        ) from None
    wire_log = logging.getLogger("httpcore")
    if wire_log.level == logging.NOTSET:  # its debug log shows headers, in which a server may repeat the key
        wire_log.setLevel(logging.INFO)
    return httpx


def _checked_url(base_url: str) -> tuple[str, str]:
    parts = urlsplit(base_url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingInvalid(
            f"{base_url.split('?', maxsplit=1)[0][:80]!r} is no API address",
            place="base_url",
            fix="write https://host/v1",
        )
    if parts.username or parts.password:
        raise SettingInvalid(
            f"base_url carries a password for {parts.hostname}",
            place="base_url",
            fix="name a variable in key_env",
        )
    return base_url.strip().rstrip("/"), parts.hostname


def _checked_key(key: str, key_env: str) -> str:
    stripped = key.strip()
    if not all("!" <= character <= "~" for character in stripped):
        raise SettingInvalid(
            f"{key_env} holds characters that no key has", place="environment", fix="set it to the key alone"
        )
    return stripped
