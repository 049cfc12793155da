"""A context for actions under test, and a small HTTP server for the ones that go out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from the_edge_agent.actions import BUILTIN_ACTIONS
from the_edge_agent.engine.action import ActionContext, CallReport
from the_edge_agent.engine.params import checked_params
from the_edge_agent.engine.ports import Ports
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.nodes import Permissions, Settings


async def nobody(_question: Any) -> Any:
    raise AssertionError("nobody is there to be asked")


def context(ports: Ports | None = None, permissions: Permissions | None = None, **more: Any) -> ActionContext:
    values: dict[str, Any] = {
        "run_id": "r",
        "node": "n",
        "address": "n",
        "place": "agent.yaml:1:1",
        "settings": Settings(),
        "permissions": permissions or Permissions(),
        "ports": ports or Ports(),
        "backends": None,
        "emit_token": lambda _text: None,
        "ask": nobody,
        "report": CallReport(),
        "scope": {"state": {}, "variables": {}, "secrets": {}, "checkpoint": {}},
        "actions": BUILTIN_ACTIONS,
        "workflow": "agent",
    }
    return ActionContext(**{**values, **more})


async def act(name: str, params: Mapping[str, Any], where: ActionContext | None = None) -> Any:
    """Call a built-in action as the engine does: parameters checked first."""
    return await BUILTIN_ACTIONS[name](checked_params(BUILTIN[name], params), where or context())


@dataclass
class Served:
    """What a test server got, and what it answers: path -> (status, headers, body)."""

    port: int = 0
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(answer: Callable[[Served, str], None] | None = None) -> AsyncGenerator[Served]:
    """A real server on loopback; an answer of status 0 is none at all."""
    served = Served()

    handling: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        status = 0
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {
                name.lower(): text.strip()
                for name, _, text in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            served.requests.append((method, path, headers, body))
            if answer:
                answer(served, path)
            status, more, data = served.answers.get(path.partition("?")[0], (404, {}, b"nothing here"))
            if status == 0:
                await asyncio.Event().wait()
            lines = [f"HTTP/1.1 {status} X", f"content-length: {len(data)}", "connection: close"]
            lines += [f"{name}: {text}" for name, text in more.items()]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
            await writer.drain()
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.transport.abort() if status == 0 else writer.close()
            handling.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield served
        finally:
            left = tuple(handling)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await asyncio.sleep(0)  # an aborted connection is gone one turn later
