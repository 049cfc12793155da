"""Workflows written in Python, for tests of the engine that need no YAML."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from the_edge_agent.engine.events import Event, Failed, Finished, Interrupted
from the_edge_agent.engine.run import replay, resume, run
from the_edge_agent.workflow.nodes import (
    ActionCall,
    Config,
    DynamicParallel,
    Edge,
    Empty,
    ExpressionBody,
    InlineCode,
    Jump,
    Node,
    Place,
    Settings,
    Steps,
    Subgraph,
    WhileLoop,
    Workflow,
)
from the_edge_agent.workflow.template import Expression
from the_edge_agent.workflow.tree import parse_tree


def place(line: int = 1) -> Place:
    return Place("agent.yaml", line, 3)


def expr(text: str) -> Expression:
    return Expression.parse(text, place())


def call(name: str, uses: str = "echo", output: str | None = "", params: Any = None, **more: Any) -> Node:
    """A node that calls an action; its output key is its name unless it says otherwise."""
    key = name if output == "" else output
    return Node(name, place(), ActionCall(uses, parse_tree(params or {}, place())), output=key, **more)


def sets(name: str, key: str, value: str, **more: Any) -> Node:
    """A node that writes the value of an expression to a key."""
    return Node(name, place(), ExpressionBody(expr(value), key), **more)


def code(name: str, source: str, **more: Any) -> Node:
    return Node(name, place(), InlineCode(source), **more)


def empty(name: str, **more: Any) -> Node:
    return Node(name, place(), Empty(), **more)


def steps(name: str, *inner: Node, **more: Any) -> Node:
    return Node(name, place(), Steps(inner), **more)


def loop(name: str, condition: str, *body: Node, most: int = 1000, **more: Any) -> Node:
    return Node(name, place(), WhileLoop(expr(condition), most, body), **more)


def each(
    name: str,
    items: str,
    *body: Node,
    at_once: int = 0,
    fail_fast: bool = True,
    output: str | None = "",
    **more: Any,
) -> Node:
    inside = DynamicParallel(expr(items), "item", "index", at_once, fail_fast, body)
    return Node(name, place(), inside, output=name if output == "" else output, **more)


def sub(name: str, workflow: Workflow, given: Any, output: str | None = "", **more: Any) -> Node:
    body = Subgraph(workflow, parse_tree(given, place()))
    return Node(name, place(), body, output=name if output == "" else output, **more)


def goto(*jumps: tuple[str | None, str]) -> tuple[Jump, ...]:
    """Pairs of condition (None: always) and target."""
    return tuple(Jump(to, expr(condition) if condition else None, place()) for condition, to in jumps)


def edge(from_: str, *to: str, when: str | None = None, fan_in: str | None = None) -> Edge:
    """Parallel where it names a fan_in."""
    return Edge(from_, to, expr(when) if when else None, fan_in is not None, fan_in, place())


def workflow(*nodes: Node, edges: tuple[Edge, ...] = (), **more: Any) -> Workflow:
    more.setdefault("settings", Settings())
    more.setdefault("config", Config())
    return Workflow("test", "", "1", "agent.yaml", "text", "digest", nodes, edges, **more)


async def echo(params: Any, _context: Any) -> Any:
    return params.get("value")


@dataclass
class Told:
    """The events of a run, sorted out."""

    events: list[Event] = field(default_factory=list)

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def state(self) -> dict[str, Any]:
        last = self.last
        assert isinstance(last, Finished | Failed | Interrupted), last
        return dict(last.state)

    @property
    def error(self) -> dict[str, Any]:
        assert isinstance(self.last, Failed), self.last
        return dict(self.last.error)

    @property
    def question(self) -> dict[str, Any]:
        assert isinstance(self.last, Interrupted), self.last
        return dict(self.last.question)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def ran(self) -> list[str]:
        """Addresses of the executions that really ran, in the order they began."""
        return [event.address for event in self.events if event.type == "node_started"]


class StillClock:
    """A clock that tests own: sleeping only moves it on, and notes for how long."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.time_s = now_s
        self.slept: list[float] = []

    def now_s(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time_s += seconds


def drive(made: Workflow, given: Any = None, **options: Any) -> Told:
    """Run to the end."""
    options["actions"] = {"echo": echo, **options.get("actions", {})}
    return collected(lambda: run(made, given, **options))


def go_on(made: Workflow, log: Any, **options: Any) -> Told:
    """Resume to the end."""
    options["actions"] = {"echo": echo, **options.get("actions", {})}
    return collected(lambda: resume(made, log, **options))


def repeat(made: Workflow, log: Any, **options: Any) -> Told:
    """Replay to the end."""
    options["actions"] = {"echo": echo, **options.get("actions", {})}
    return collected(lambda: replay(made, log, **options))


def collected(stream: Callable[[], AsyncIterator[Event]]) -> Told:
    told = Told()

    async def collect() -> None:
        async for event in stream():
            told.events.append(event)

    asyncio.run(collect())
    return told
