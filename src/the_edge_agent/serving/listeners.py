"""Sockets that HTTP is served on, with limits on slow and too many clients. Knows nothing of routes or of the daemon.

uvicorn's HTTP/1.1 protocol is used without its server: sockets, signals and shutdown are ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

MAX_HEADER_BYTES = 65_536


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits so long for a request's headers and no longer."""

    header_timeout_s = 30.0
    _guard: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Asyncio calls this."""
        super().connection_made(transport)
        self._guard = self.loop.call_later(self.header_timeout_s, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Asyncio calls this."""
        super().data_received(data)
        waits = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0] != b""
        if not waits:
            self._cancel_guard()
        elif self._guard is None:
            self._guard = self.loop.call_later(self.header_timeout_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio calls this."""
        self._cancel_guard()
        super().connection_lost(exc)

    def _cancel_guard(self) -> None:
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None

    def _give_up(self) -> None:
        self._guard = None
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            self.transport.close()


class Listener:
    """One listening socket and its connections."""

    def __init__(
        self, app: Any, listening: socket.socket, *, connections: int, header_timeout_s: float
    ) -> None:
        self._socket = listening
        self._config = Config(
            app,
            http=PatientProtocol,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=connections,
            timeout_keep_alive=75,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        self._config.load()
        self._state = ServerState()
        self._header_timeout_s = header_timeout_s
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The TCP port; 0 for a Unix socket."""
        name: Any = self._socket.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0  # pyright: ignore[reportUnknownArgumentType]

    async def open(self) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        factory: Callable[[], asyncio.Protocol] = self._protocol
        if self._socket.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(factory, sock=self._socket, backlog=1024)
        else:
            self._server = await loop.create_server(factory, sock=self._socket, backlog=1024)

    def _protocol(self) -> asyncio.Protocol:
        protocol = PatientProtocol(config=self._config, server_state=self._state, app_state={})
        protocol.header_timeout_s = self._header_timeout_s
        return protocol

    async def close(self, grace_s: float) -> None:
        """Accept nothing more, let running responses end within ``grace_s``, then cut them off."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=grace_s)
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        for connection in list(self._state.connections):
            with contextlib.suppress(Exception):
                connection.transport.abort()  # pyright: ignore[reportAttributeAccessIssue]


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio looks at it: without it accepted connections keep Nagle's algorithm, and the first
    # event of a stream waits 40 ms for the reader's delayed acknowledgement of the headers.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    return listening
