"""Time and memory of a dynamic_parallel with 1,000 and 10,000 branches: both must grow with the number, not faster."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Iterator

from bench.row import Row, at_most

from the_edge_agent.actions import BUILTIN_ACTIONS
from the_edge_agent.engine.events import Finished
from the_edge_agent.engine.run import run
from the_edge_agent.workflow.load import parse_workflow

SMALL, LARGE = 1_000, 10_000
TEXT = """
name: fan-out
nodes:
  - name: map
    type: dynamic_parallel
    items: state.items
    steps:
      - {name: one, run: {type: expression, value: item * 2, output_key: twice}}
    output: all
"""


async def fan_out(count: int) -> float:
    """Seconds for one run over ``count`` items."""
    made = parse_workflow(TEXT)
    began_s = time.perf_counter()
    async for event in run(made, {"items": list(range(count))}, actions=BUILTIN_ACTIONS):
        last = event
    seconds = time.perf_counter() - began_s
    assert isinstance(last, Finished), last
    assert last.state["all"] == [2 * i for i in range(count)]
    return seconds


def peak_bytes(count: int) -> int:
    """The most memory that one run allocated."""
    gc.collect()
    tracemalloc.start()
    asyncio.run(fan_out(count))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def rows(quick: bool) -> Iterator[Row]:
    """Every row of this module."""
    rounds = 2 if quick else 4
    asyncio.run(fan_out(100))
    small = min(asyncio.run(fan_out(SMALL)) for _ in range(rounds * 3))
    large = min(asyncio.run(fan_out(LARGE)) for _ in range(rounds))
    yield at_most(
        "time a branch, 10,000 against 1,000 (linear)",
        large / LARGE * 1e6,
        small / SMALL * 1e6,
        1.5,
        "us/branch",
    )
    yield at_most(
        "memory a branch, 10,000 against 1,000 (linear)",
        peak_bytes(LARGE) / LARGE,
        peak_bytes(SMALL) / SMALL,
        1.5,
        "bytes",
    )
