"""Engine overhead a node, in memory and with the durable log, against LangGraph on the same chain in the same run.

The chain adds 1 to a counter in every node. LangGraph gets a node function that does the same; its durable figure is
with its own SQLite checkpointer at the same synchronous setting. Each figure is the best of several rounds, taken in
turns, so that a busy machine slows both.
"""

from __future__ import annotations

import asyncio
import operator
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypedDict

from bench.row import Row, at_most, limit

from the_edge_agent.actions import BUILTIN_ACTIONS
from the_edge_agent.adapters.run_store import RunStore
from the_edge_agent.engine.events import Finished
from the_edge_agent.engine.run import run
from the_edge_agent.workflow.load import parse_workflow
from the_edge_agent.workflow.nodes import Workflow

CHAIN = 1000
DURABLE_CHAIN = 300
GROWING = 400
MESSAGE = "x" * 1000


class Counter(TypedDict):
    """The peer's state of the chain."""

    n: int


class Chat(TypedDict):
    """The peer's state of the conversation."""

    messages: Annotated[list[dict[str, str]], operator.add]


def chain(count: int) -> Workflow:
    """``count`` nodes, each adding 1."""
    nodes = "\n".join(
        f"  - {{name: n{i}, run: {{type: expression, value: state.n + 1, output_key: n}}}}"
        for i in range(count)
    )
    return parse_workflow(f"name: chain\nsettings: {{max_steps: {count}}}\nnodes:\n{nodes}\n")


def growing(count: int) -> Workflow:
    """``count`` nodes, each adding a message of 1,000 characters to a list."""
    nodes = "\n".join(
        f"  - {{name: n{i}, run: {{type: expression, value: variables.message, output_key: messages}}}}"
        for i in range(count)
    )
    return parse_workflow(
        f"name: growing\nsettings: {{max_steps: {count}}}\nvariables: {{message: {{role: user, content: {MESSAGE}}}}}\n"
        f"state_schema: {{messages: {{type: array, reducer: append}}}}\nnodes:\n{nodes}\n"
    )


def peer_chain(count: int, checkpointer: Any = None) -> Any:
    """The same chain as a LangGraph graph."""
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(Counter)
    names = [f"n{i}" for i in range(count)]
    for name in names:
        graph.add_node(name, lambda state: {"n": state["n"] + 1})
    for start, end in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(start, end)
    return graph.compile(checkpointer=checkpointer)


def peer_growing(count: int, checkpointer: Any) -> Any:
    """The same growing conversation as a LangGraph graph."""
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(Chat)
    names = [f"n{i}" for i in range(count)]
    for name in names:
        graph.add_node(name, lambda _state: {"messages": [{"role": "user", "content": MESSAGE}]})
    for start, end in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(start, end)
    return graph.compile(checkpointer=checkpointer)


async def ours(made: Workflow, given: dict[str, Any], store: RunStore | None = None) -> float:
    """Seconds for one run, its events read."""
    began_s = time.perf_counter()
    log = store.create() if store else None
    try:
        async for event in run(made, given, actions=BUILTIN_ACTIONS, log=log):
            last = event
    finally:
        if log is not None:
            log.close()
    assert isinstance(last, Finished), last
    return time.perf_counter() - began_s


def peer(graph: Any, given: dict[str, Any], count: int, thread: str = "1") -> float:
    """Seconds for one run."""
    began_s = time.perf_counter()
    graph.invoke(given, {"recursion_limit": count + 5, "configurable": {"thread_id": thread}})
    return time.perf_counter() - began_s


def best(rounds: int, first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
    """The best of each, in turns; one of each to warm up."""
    first(), second()
    pairs = [(first(), second()) for _ in range(rounds)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def in_memory(rounds: int) -> Iterator[Row]:
    """µs a node without a log."""
    made, graph = chain(CHAIN), peer_chain(CHAIN)
    mine, theirs = best(
        rounds, lambda: asyncio.run(ours(made, {"n": 0})), lambda: peer(graph, {"n": 0}, CHAIN)
    )
    mine, theirs = mine / CHAIN * 1e6, theirs / CHAIN * 1e6
    yield at_most("a node in memory, 1,000-node chain, against LangGraph", mine, theirs, 0.25, "us/node")
    yield limit("a node in memory, against the project's own budget", mine, 60, "us/node")


def durable(rounds: int, sync: str) -> Iterator[Row]:
    """µs a node with every output committed before the next node starts."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "ours.db", sync=sync)
        connection = sqlite3.connect(Path(folder) / "peer.db", check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {sync}")
        made, graph = chain(DURABLE_CHAIN), peer_chain(DURABLE_CHAIN, SqliteSaver(connection))
        threads = iter(range(1000))
        mine, theirs = best(
            rounds,
            lambda: asyncio.run(ours(made, {"n": 0}, store)),
            lambda: peer(graph, {"n": 0}, DURABLE_CHAIN, str(next(threads))),
        )
        connection.close()
    mine, theirs = mine / DURABLE_CHAIN * 1e6, theirs / DURABLE_CHAIN * 1e6
    # At full, both wait for the disk at every node, and the disk decides: we only must not wait more often.
    goal = 0.1 if sync == "normal" else 1.0
    yield at_most(
        f"a node with the durable log, synchronous {sync}, against LangGraph", mine, theirs, goal, "us/node"
    )


def size(count: int) -> tuple[float, float]:
    """Bytes on disk and seconds of our log of a growing conversation of ``count`` steps."""
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "ours.db")
        seconds = asyncio.run(ours(growing(count), {"messages": []}, store))
        return sum(path.stat().st_size for path in Path(folder).glob("ours.db*") if path.is_file()), seconds


def peer_size(count: int) -> tuple[float, float]:
    """The same of LangGraph's checkpointer."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "peer.db", check_same_thread=False)
        seconds = peer(peer_growing(count, SqliteSaver(connection)), {"messages": []}, count)
        connection.close()
        return sum(path.stat().st_size for path in Path(folder).glob("peer.db*")), seconds


def log_size(*, quick: bool) -> Iterator[Row]:
    """Bytes of log for each byte of changed data."""
    changed = GROWING * (len(MESSAGE) + len('{"role":"user","content":""}'))
    (mine, mine_s), (theirs, theirs_s) = size(GROWING), peer_size(GROWING)
    yield limit("log bytes a changed byte, 400 steps of a growing chat", mine / changed, 3, "bytes")
    yield at_most(
        "log size, 400 steps of a growing chat, against LangGraph", mine / 1e6, theirs / 1e6, 0.1, "MB"
    )
    yield at_most(
        "a node of a growing chat, 400 steps, durable, against LangGraph",
        mine_s / GROWING * 1e6,
        theirs_s / GROWING * 1e6,
        0.1,
        "us/node",
    )
    if not quick:
        large, large_s = size(GROWING * 10)
        yield limit(
            "log bytes a changed byte, 4,000 steps of a growing chat", large / changed / 10, 3, "bytes"
        )
        yield at_most(
            "log size a step, 4,000 steps against 400 (linear)", large / 4000, mine / 400, 1.1, "bytes"
        )
        yield at_most(
            "time a step, 4,000 steps against 400", large_s / 4000 * 1e6, mine_s / 400 * 1e6, 4, "us/node"
        )


def rows(quick: bool) -> Iterator[Row]:
    """Every row of this module."""
    rounds = 2 if quick else 5
    yield from in_memory(rounds)
    yield from durable(rounds, "normal")
    yield from durable(rounds, "full")
    yield from log_size(quick=quick)
