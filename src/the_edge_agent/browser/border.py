"""Calls across the border between Python and the worker that hosts it: JSON texts, both ways.

A message is one of call, cancel, event, result, failure, in the shapes of ``web/src/rpc.ts``. Both sides call and both
serve. This module knows nothing of what is called, and nothing of JavaScript: it is given a function that posts a text.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import the_edge_agent.errors as tree
from the_edge_agent.errors import EdgeAgentError, Problem

logger = logging.getLogger("the_edge_agent.browser")

Emit: TypeAlias = Callable[[Any], None]
#: A served method: its parameters and a way to tell events; what it returns is the result.
Method: TypeAlias = Callable[[dict[str, Any], Emit], Awaitable[Any]]


class HostError(EdgeAgentError):
    """An error of the browser's side that the tree has no class for; ``name`` is what that side calls it."""

    def __init__(self, name: str, problem: Problem) -> None:
        super().__init__(problem.what, place=problem.place, fix=problem.fix)
        self._name = name

    @property
    def name(self) -> str:
        """What the browser's side calls it."""
        return self._name


class Border:
    """Both ends of the calls on Python's side. ``receive`` is what the host calls with each message."""

    def __init__(self, post: Callable[[str], object], methods: Mapping[str, Method] | None = None) -> None:
        self._post = post
        self._methods = dict(methods or {})
        self._waiting: dict[int, asyncio.Queue[Any]] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._next = 1

    def serve(self, methods: Mapping[str, Method]) -> None:
        """Add methods that the other side may call."""
        self._methods.update(methods)

    def receive(self, text: str) -> None:
        """Take a message of the other side."""
        message: dict[str, Any] = json.loads(text)
        kind, number = message["kind"], message["id"]
        if kind == "call":
            task = asyncio.ensure_future(self._answer(number, message["method"], message.get("params")))
            self._running[number] = task
            task.add_done_callback(lambda _: self._running.pop(number, None))
        elif kind == "cancel":
            if number in self._running:
                self._running[number].cancel()
        elif number in self._waiting:
            self._waiting[number].put_nowait(message)

    async def call(self, method: str, params: Any = None) -> Any:
        """The result of a method of the other side. Raises what it failed with."""
        result = None
        async for entry in self._listen(method, params):
            if entry["kind"] == "result":
                result = entry.get("value")
        return result

    async def stream(self, method: str, params: Any = None) -> AsyncGenerator[Any]:
        """The events of a call, until its result. Closing it early cancels the call."""
        async for entry in self._listen(method, params):
            if entry["kind"] == "event":
                yield entry["event"]

    async def _listen(self, method: str, params: Any) -> AsyncGenerator[dict[str, Any]]:
        number, self._next = self._next, self._next + 1
        queue = self._waiting[number] = asyncio.Queue[Any]()
        self._send({"kind": "call", "id": number, "method": method, "params": params})
        ended = False
        try:
            while not ended:
                message: dict[str, Any] = await queue.get()
                ended = message["kind"] != "event"
                if message["kind"] == "failure":
                    raise from_wire(message["error"])
                yield message
        finally:
            del self._waiting[number]
            if not ended:
                self._send({"kind": "cancel", "id": number})

    async def _answer(self, number: int, method: str, params: Any) -> None:
        def emit(event: Any) -> None:
            self._send({"kind": "event", "id": number, "event": event})

        try:
            value = await self._methods[method](params or {}, emit)
        except asyncio.CancelledError:
            wire: dict[str, Any] = {"name": "AbortError", "message": "the call was aborted", "problems": []}
            self._send({"kind": "failure", "id": number, "error": wire})
        except Exception as error:
            if not isinstance(error, EdgeAgentError):
                logger.exception("%s failed", method)
            self._send({"kind": "failure", "id": number, "error": to_wire(error)})
        else:
            self._send({"kind": "result", "id": number, "value": value})

    def _send(self, message: Mapping[str, Any]) -> None:
        self._post(json.dumps(message))


def to_wire(error: Exception) -> dict[str, Any]:
    """An error as it crosses the border."""
    if isinstance(error, EdgeAgentError):
        problems = [{"what": entry.what, "place": entry.place, "fix": entry.fix} for entry in error.problems]
        return {"name": error.name, "message": str(error), "problems": problems}
    what = f"{type(error).__name__}: {error}"
    return {"name": "Internal", "message": what, "problems": [{"what": what, "place": "", "fix": ""}]}


def from_wire(wire: Mapping[str, Any]) -> EdgeAgentError:
    """The error of the tree that the other side meant, by its name; HostError where the tree has none."""
    problems = wire["problems"] or [{"what": wire["message"], "place": "", "fix": ""}]
    problem = Problem(problems[0]["what"], problems[0]["place"], problems[0]["fix"])
    found = getattr(tree, wire["name"], None)
    if isinstance(found, type) and issubclass(found, EdgeAgentError) and len(problems) == 1:
        try:
            return cast("Any", found)(problem.what, place=problem.place, fix=problem.fix)
        except TypeError:  # it carries many problems, and here is one
            return cast("Any", found)((problem,))
    return HostError(wire["name"], problem)
