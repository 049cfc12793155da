"""One model in one process: ``python -m the_edge_agent.runtime.worker FD PARENT [--offline]``, started by the daemon.

FD is one end of a socket pair: nobody but the daemon holds the other, no file or port exists, and it closes when the daemon
dies. The first message says which file to open; then requests are answered as streams. A worker knows nothing of queues,
users, other models or restarts: it is either answering or dead.

Messages in: ``warm`` (a model will come), ``open {path, options}``, ``chat|embed|count ID request``, ``cancel ID``, ``ping N``.
Messages out: ``ready info``, ``unready error``, ``text ID text ids`` (a plain chunk), ``chunk ID chunk``, ``end ID``,
``result ID value``, ``error ID error``, ``pong N progress`` (progress grows with every step of work).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from the_edge_agent.backends.runtime_answers import (
    chunk_to_json,
    embeddings_to_json,
    error_to_json,
    info_to_json,
)
from the_edge_agent.backends.runtime_requests import parse_chat_request, parse_embed_request
from the_edge_agent.errors import ActionParamsInvalid, EdgeAgentError
from the_edge_agent.inference import Backend, CompletionChunk
from the_edge_agent.runtime.confine import die_with_parent, leave_network
from the_edge_agent.runtime.frames import FrameChannel

#: Opens the model that the ``open`` message describes.
OpenBackend = Callable[[Mapping[str, Any]], Awaitable[Backend]]


class Worker:
    """Answers one daemon over one socket until either side is done."""

    def __init__(self, open_backend: OpenBackend, warm: Callable[[], object] = lambda: None) -> None:
        self._open_backend = open_backend
        self._warm = warm
        self._backend: Backend | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._opening: asyncio.Task[None] | None = None
        self._done = asyncio.Event()
        self._progress = 0
        self._channel = FrameChannel(self._receive, lambda _: self._done.set())

    async def run(self, connection: socket.socket) -> None:
        """Serve until the daemon closes the connection or SIGTERM comes."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._done.set)
        await loop.create_unix_connection(lambda: self._channel, sock=connection)
        await self._done.wait()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._backend is not None:
            await self._backend.aclose()
        self._channel.close()

    def _receive(self, message: list[Any]) -> None:
        match message:
            case ["ping", int(number)]:
                self._channel.send("pong", number, self._progress_now())
            case ["warm"] if self._opening is None:
                self._warm()
            case ["open", dict(what)] if self._opening is None:  # pyright: ignore[reportUnknownVariableType]
                self._opening = asyncio.create_task(self._open(what))  # pyright: ignore[reportUnknownArgumentType]
            case ["cancel", int(number)]:
                if task := self._tasks.get(number):
                    task.cancel()
            case ["chat" | "embed" | "count" as kind, int(number), tree] if self._backend is not None:
                handler = {"chat": self._chat, "embed": self._embed, "count": self._count}[kind]
                task = asyncio.create_task(self._answer(number, handler(self._backend, number, tree)))
                self._tasks[number] = task
            case _:
                self._done.set()  # whoever speaks like this isn't our daemon

    def _progress_now(self) -> int:
        steps = getattr(self._backend, "progress", None)
        return self._progress + (steps if isinstance(steps, int) else 0)

    async def _open(self, what: Mapping[str, Any]) -> None:
        try:
            self._backend = await self._open_backend(what)
            self._channel.send("ready", info_to_json(await self._backend.describe()))
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the daemon must hear it
            _log_foreign(error)
            self._channel.send("unready", error_to_json(error))

    async def _answer(self, number: int, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            self._channel.send("end", number)
        except Exception as error:  # noqa: BLE001 - translated here, once, for the daemon
            _log_foreign(error)
            self._channel.send("error", number, error_to_json(error))
        finally:
            self._tasks.pop(number, None)

    async def _chat(self, backend: Backend, number: int, tree: object) -> None:
        channel = self._channel
        stream = backend.chat(parse_chat_request(tree))
        try:
            async for chunk in stream:
                self._progress += 1
                if _is_plain(chunk):
                    channel.send("text", number, chunk.text, chunk.token_ids)
                else:
                    channel.send("chunk", number, chunk_to_json(chunk))
                await channel.writable()
        finally:
            if close := getattr(stream, "aclose", None):
                await close()
        channel.send("end", number)

    async def _embed(self, backend: Backend, number: int, tree: object) -> None:
        embeddings = await backend.embed(parse_embed_request(tree))
        self._progress += 1
        self._channel.send("result", number, embeddings_to_json(embeddings))

    async def _count(self, backend: Backend, number: int, tree: object) -> None:
        self._channel.send("result", number, await backend.count_tokens(parse_chat_request(tree)))


def _log_foreign(error: Exception) -> None:
    """Our errors travel whole; of others only the class does, so the log has the rest."""
    if not isinstance(error, EdgeAgentError):
        traceback.print_exception(error)


def _is_plain(chunk: CompletionChunk) -> bool:
    return chunk.finish_reason is None and not (
        chunk.logprobs or chunk.tool_calls or chunk.notices or chunk.usage
    )


async def open_local(what: Mapping[str, Any]) -> Backend:
    """The local backend over a GGUF file. Options are the daemon's own; a file of a model repository never sets any."""
    from the_edge_agent.backends.local import LocalBackend, LocalOptions

    path, options = what.get("path"), what.get("options", {})
    if not isinstance(path, str) or not isinstance(options, Mapping):
        raise ActionParamsInvalid("open needs a path and options", place="worker")
    given = dict(cast("Mapping[str, Any]", options))
    for name in ("projector", "draft_model"):
        if name in given:
            given[name] = Path(given[name])
    given["lora"] = tuple((Path(file), scale) for file, scale in given.get("lora", ()))
    return await LocalBackend.open(Path(path), LocalOptions(**given))


def warm_local() -> None:
    """What opening any model takes before its file is looked at."""
    from the_edge_agent.llama.bindings import load_bindings

    with contextlib.suppress(EdgeAgentError):  # opening will say so
        importlib.import_module("the_edge_agent.backends.local")
        load_bindings()


def main(
    arguments: list[str], open_backend: OpenBackend = open_local, warm: Callable[[], object] = warm_local
) -> int:
    """The process: tie its life to the daemon's, then serve."""
    descriptor, parent_pid, *flags = arguments
    die_with_parent(int(parent_pid))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the daemon's to handle
    if "--offline" in flags:
        leave_network()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    connection = socket.socket(fileno=int(descriptor))
    asyncio.run(Worker(open_backend, warm).run(connection))
    sys.stderr.flush()
    os._exit(0)  # no native finalizer may keep a stopped worker alive


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
