"""One HTTP request and its response over ASGI: headers, a bounded body, JSON out, server-sent events, disconnects.

It knows nothing of routes or of what is asked. Everything a client can do slowly or endlessly has a limit here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs, unquote

from the_edge_agent.backends.runtime_answers import error_to_json
from the_edge_agent.errors import ActionParamsInvalid, BackendTimeout, EdgeAgentError
from the_edge_agent.serving.status_codes import retry_after_s, status_of

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON_TYPE = "application/json"
LINGER_S = 0.5


class ClientGone(Exception):
    """The reader left; whatever was being done for it is to stop."""


class BodyTooLarge(ActionParamsInvalid):
    """The body passed ``limits.body_bytes``: answered with 413."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What a body may be."""

    size_bytes: int = 16_000_000
    depth: int = 64
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """How a stream looks on the wire: its type, what keeps it alive, what an error in mid-stream becomes."""

    content_type: str
    ping: bytes
    on_error: Callable[[EdgeAgentError], bytes]
    ping_s: float = 10.0


class Exchange:
    """A request, and the one response to it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = unquote(scope["path"])
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.query: Mapping[str, list[str]] = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        server = scope.get("server")
        self.server_address = str(server[0]) if server else ""
        self.extra_headers: dict[str, str] = {}
        self.status = 0
        self._sent_at_s = 0.0
        self._body_was_read = False
        self._receive = receive
        self._send = send

    # In.

    async def body(self, limits: BodyLimits) -> bytes:
        """The whole body. Raises BodyTooLarge, BackendTimeout for a slow one, ClientGone."""
        if int(self.headers.get("content-length") or 0) > limits.size_bytes:
            await self._linger()
            raise _too_large(limits)
        parts: list[bytes] = []
        size_bytes = 0
        try:
            async with asyncio.timeout(limits.timeout_s):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    parts.append(message.get("body", b""))
                    size_bytes += len(parts[-1])
                    if size_bytes > limits.size_bytes:
                        await self._linger()
                        raise _too_large(limits)
                    if not message.get("more_body", False):
                        self._body_was_read = True
                        return b"".join(parts)
        except TimeoutError:
            raise BackendTimeout(
                f"the body wasn't sent within {limits.timeout_s:g} s", place="request"
            ) from None

    async def _linger(self) -> None:
        """Swallow what is on its way for a moment: closing on unread bytes would reset the connection, answer and all."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await self._receive()).get("more_body", False):
                    pass

    async def json(self, limits: BodyLimits) -> dict[str, Any]:
        """The body as an object. Raises ActionParamsInvalid, BodyTooLarge, BackendTimeout, ClientGone."""
        return parse_object(await self.body(limits), limits.depth)

    # Out.

    async def respond(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """The whole response."""
        await self._start(
            status, {"content-type": content_type, "content-length": str(len(body)), **(headers or {})}
        )
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def respond_json(
        self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """A JSON value. Lone surrogates stay escapes."""
        await self.respond(status, to_json(value), JSON_TYPE, headers)

    async def respond_error(self, error: EdgeAgentError) -> None:
        """An error as OpenAI's clients read it, with ours beside; Retry-After where it is known."""
        row = status_of(error)
        status = 413 if isinstance(error, BodyTooLarge) else row.http
        wait_s = retry_after_s(error)
        headers = {} if wait_s is None else {"retry-after": str(wait_s)}
        if status == 401:
            headers["www-authenticate"] = "Bearer"
        await self.respond_json(error_body(error), status, headers)

    async def stream(self, events: AsyncIterator[bytes], wire: StreamFormat) -> None:
        """Send events as they come, a ping whenever ``ping_s`` pass without one.

        An error before the first event is a response of its own, with its status; a later one is the last event. Raises
        ClientGone when the reader leaves; ``events`` is closed in any case.
        """
        closing: Any = events
        async with aclosing(closing):
            first = asyncio.ensure_future(anext(events, b""))
            try:
                await self.while_present(asyncio.wait((first,), timeout=wire.ping_s))
                opening = first.result() if first.done() else wire.ping
                await self._start(
                    200,
                    {
                        "content-type": wire.content_type,
                        "cache-control": "no-cache",
                        "x-accel-buffering": "no",
                    },
                )
                await self._send_part(opening)
                await self.while_present(self._pump(first, events, wire, was_sent=first.done()))
            finally:
                if not first.done():
                    first.cancel()
                    await asyncio.gather(first, return_exceptions=True)
        await self._send({"type": "http.response.body", "body": b""})

    async def while_present(self, work: Awaitable[T]) -> T:
        """The work's result, unless the client leaves before: then the work is cancelled and ClientGone raised.

        Only after the body was read.
        """
        task = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self._wait_for_leave())
        try:
            await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientGone
            return task.result()
        finally:
            for future in (task, leaving):
                if not future.done():
                    future.cancel()
            await asyncio.gather(task, leaving, return_exceptions=True)

    async def _wait_for_leave(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _pump(
        self,
        first: asyncio.Future[bytes],
        events: AsyncIterator[bytes],
        wire: StreamFormat,
        *,
        was_sent: bool,
    ) -> None:
        pinging = asyncio.create_task(self._ping(wire))
        try:
            if not was_sent:
                await self._send_part(await first)
            async for event in events:
                await self._send_part(event)
        except EdgeAgentError as error:
            await self._send_part(wire.on_error(error))
        finally:
            pinging.cancel()

    async def _ping(self, wire: StreamFormat) -> None:
        loop = asyncio.get_running_loop()
        while True:
            quiet_s = loop.time() - self._sent_at_s
            if quiet_s >= wire.ping_s:
                await self._send_part(wire.ping)
            else:
                await asyncio.sleep(wire.ping_s - quiet_s)

    async def _send_part(self, part: bytes) -> None:
        self._sent_at_s = asyncio.get_running_loop().time()
        await self._send({"type": "http.response.body", "body": part, "more_body": True})

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        everything = {**headers, **self.extra_headers}
        if self.method == "POST" and not self._body_was_read:
            everything["connection"] = "close"  # or the rest of the body would be read, however long it is
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (name.encode("latin-1"), value.encode("latin-1", "replace"))
                    for name, value in everything.items()
                ],
            }
        )


def parse_object(body: bytes, depth: int) -> dict[str, Any]:
    """A JSON object no deeper than ``depth``. Raises ActionParamsInvalid."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ActionParamsInvalid(f"the body isn't JSON: {error}", place="request body") from None
    if not isinstance(value, dict):
        raise ActionParamsInvalid("the body must be a JSON object", place="request body")
    if _is_deeper(value, depth):  # pyright: ignore[reportUnknownArgumentType]
        raise ActionParamsInvalid(f"the JSON is nested deeper than {depth}", place="request body")
    return cast("dict[str, Any]", value)


def _is_deeper(value: Any, depth: int) -> bool:
    """Level by level, so that no recursion can be exhausted."""
    level: list[Any] = [value]
    for _ in range(depth):
        below: list[Any] = []
        for item in level:
            below += item.values() if isinstance(item, dict) else item
        level = [item for item in below if isinstance(item, dict | list)]  # pyright: ignore[reportUnknownVariableType]
        if not level:
            return False
    return True


def to_json(value: Any) -> bytes:
    """JSON with non-ASCII as escapes."""
    return json.dumps(value, separators=(",", ":")).encode()


def error_body(error: EdgeAgentError) -> dict[str, Any]:
    """OpenAI's error object; ``param`` is the place, ``edge_agent`` the error as our own clients rebuild it."""
    row = status_of(error)
    extra = error_to_json(error)
    figures = {name: extra[name] for name in ("needed", "n_ctx") if name in extra}
    return {
        "error": {
            "message": str(error),
            "type": row.type,
            "param": error.place or None,
            "code": row.code,
            **figures,
            "edge_agent": extra,
        }
    }


def _too_large(limits: BodyLimits) -> BodyTooLarge:
    return BodyTooLarge(
        f"the body is larger than {limits.size_bytes} bytes", place="request body", fix="send less"
    )
