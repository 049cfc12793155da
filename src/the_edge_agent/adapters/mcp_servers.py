"""The MCP port over the official SDK (the ``mcp`` extra): servers that the caller configured, started when first asked.

Each server has a task of its own that opens its session and closes it again: the SDK ties a session to the task that
opened it. This module knows nothing of permissions (the action and llm.tools check them) nor of models.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from the_edge_agent.errors import ToolFailed
from the_edge_agent.inference import JsonObject, JsonValue, Tool

if TYPE_CHECKING:
    from mcp import ClientSession

START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class McpServer:
    """How a server is reached: a ``command`` to start and talk to over its pipes, or the ``url`` of a running one.

    ``env`` is added to the few variables that the SDK passes on to a command.
    """

    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    url: str = ""


class McpServers:
    """The McpPort over configured servers. Use it in an ``async with``: leaving it stops what was started."""

    def __init__(self, servers: Mapping[str, McpServer]) -> None:
        self._servers = servers
        self._connections: dict[str, _Connection] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections.values():
            await connection.close()
        self._connections.clear()

    async def tools(self, server: str) -> Sequence[Tool]:
        """The tools a server offers. Raises ToolFailed where it can't be reached."""
        session = await self._session(server)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                listed = _json(await session.list_tools())
        except Exception as error:
            raise ToolFailed(f"the MCP server {server!r} doesn't list its tools: {error}") from error
        return [
            Tool(entry["name"], entry.get("description") or "", entry["inputSchema"])
            for entry in listed["tools"]
        ]

    async def call(self, server: str, tool: str, arguments: JsonObject, *, timeout_s: float) -> JsonValue:
        """What a tool returns: its structured content, else its text, else its content blocks. Raises ToolFailed."""
        session = await self._session(server)
        try:
            async with asyncio.timeout(timeout_s):
                result = _json(await session.call_tool(tool, dict(arguments)))
        except TimeoutError as error:
            raise ToolFailed(f"{server}.{tool} gave no answer within {timeout_s:g} s") from error
        except Exception as error:
            await self._drop(server)  # whatever went wrong, the next call starts afresh
            raise ToolFailed(f"{server}.{tool} can't be called: {error}") from error
        content = _content(result)
        if result.get("isError"):
            raise ToolFailed(f"{server}.{tool} failed: {content}", fix="check its arguments")
        return content

    async def _session(self, server: str) -> ClientSession:
        connection = self._connections.get(server)
        if connection is None:
            config = self._servers.get(server)
            if config is None:
                raise ToolFailed(
                    f"no MCP server {server!r} is configured",
                    fix=f"there are {', '.join(self._servers) or 'none'}",
                )
            connection = self._connections[server] = _Connection(server, config)
        try:
            return await connection.session()
        except ToolFailed:
            await self._drop(server)
            raise

    async def _drop(self, server: str) -> None:
        connection = self._connections.pop(server, None)
        if connection is not None:
            await connection.close()


class _Connection:
    """A session and the task that owns it."""

    def __init__(self, name: str, config: McpServer) -> None:
        self._name = name
        self._config = config
        self._ready: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._own())

    async def session(self) -> ClientSession:
        """The session, once it is open. Raises ToolFailed."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                return await asyncio.shield(self._ready)
        except TimeoutError as error:
            raise ToolFailed(
                f"the MCP server {self._name!r} didn't start within {START_TIMEOUT_S:g} s"
            ) from error

    async def close(self) -> None:
        """End the session and its process."""
        self._stop.set()
        if not self._ready.done():
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # looked at: nobody may have waited for it

    async def _own(self) -> None:
        try:
            async with _opened(self._config) as session:
                await session.initialize()
                self._ready.set_result(session)
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - the SDK raises groups of anything
            if not self._ready.done():
                failed = ToolFailed(f"the MCP server {self._name!r} can't be reached: {_cause(error)}")
                failed.__cause__ = error
                self._ready.set_exception(failed)
        finally:
            if not self._ready.done():
                self._ready.cancel()


@asynccontextmanager
async def _opened(config: McpServer) -> AsyncGenerator[ClientSession]:
    try:
        from mcp import ClientSession, StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client
    except ImportError as error:
        raise ToolFailed(
            "MCP needs the mcp package", fix="install it: pip install 'the-edge-agent[mcp]'"
        ) from error
    async with AsyncExitStack() as stack:
        if config.url:
            streams = await stack.enter_async_context(streamable_http_client(config.url))
        else:
            parameters = StdioServerParameters(
                command=config.command, args=list(config.args), env=dict(config.env)
            )
            streams = await stack.enter_async_context(stdio_client(parameters))
        yield await stack.enter_async_context(ClientSession(streams[0], streams[1]))


def _json(result: Any) -> dict[str, Any]:
    """An SDK object under the names of the wire, which are the same in every version of the SDK."""
    return result.model_dump(mode="json", by_alias=True)


def _content(result: Mapping[str, Any]) -> JsonValue:
    structured = result.get("structuredContent")
    if structured is not None:
        return structured
    blocks: list[dict[str, Any]] = result.get("content") or []
    if all(block.get("type") == "text" for block in blocks):
        return "\n".join(block["text"] for block in blocks)
    return blocks


def _cause(error: BaseException) -> str:
    """The innermost reason of a group of exceptions."""
    innermost: Any = error
    while inside := getattr(innermost, "exceptions", None):
        innermost = inside[0]
    return f"{type(innermost).__name__}: {innermost}"
