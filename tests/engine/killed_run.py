"""One life of a run in a process of its own: ``python -m tests.engine.killed_run run|resume STORE RUN_ID SHAPE EFFECTS``.

Every execution of an action adds its address to the file EFFECTS before it does anything else: a side effect that can
be counted. The process says ``begun`` once the run has begun and ``{"state": ...}`` at its end.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys

from tests.engine.build import call, each, edge, goto, loop, sets, steps, sub, workflow

from the_edge_agent.adapters.run_store import RunStore
from the_edge_agent.engine.events import Finished
from the_edge_agent.engine.run import resume, run
from the_edge_agent.workflow.input_schema import Field
from the_edge_agent.workflow.nodes import Workflow


def work(name: str, value: object = 1, **more: object) -> object:
    return call(name, "work", params={"value": value}, **more)


def linear() -> Workflow:
    return workflow(work("n0"), *[work(f"n{i}", f"{{{{ state.n{i - 1} + 1 }}}}") for i in range(1, 30)])


def looping() -> Workflow:
    body = (work("ask", "{{ state.chat | length }}"), sets("add", "chat", "state.chat + [state.ask]"))
    return workflow(
        sets("z", "chat", "[]"),
        loop("w", "(state.chat | length) < 12", *body),
        work("again", "{{ (state.again or 0) + 1 }}", goto=goto(("state.again < 12", "again"))),
    )


def parallel() -> Workflow:
    return workflow(
        work("a"),
        *[
            steps(
                f"b{i}",
                *[work(f"b{i}_{j}", i * j) for j in range(4)],
                work(f"log{i}", i, outputs={}),
                output=f"r{i}",
            )
            for i in range(4)
        ],
        sets("j", "all", "parallel_results | map(attribute='output') | list", fan_in=True),
        each("m", "range(20)", call("i", "work", None, params={"value": "{{ item }}"}), at_once=4),
        edges=(edge("a", "b0", "b1", "b2", "b3", fan_in="j"),),
    )


def nested() -> Workflow:
    inner = workflow(
        work("first", "{{ state.n }}"),
        each(
            "many",
            "range(4)",
            steps("s", work("x", "{{ item }}"), work("y", "{{ state.x * state.n }}"), output="o"),
        ),
        loop("w", "(state.turn or 0) < 3", work("turn", "{{ (state.turn or 0) + 1 }}")),
        output_schema={"many": Field("array"), "turn": Field("integer")},
    )
    return workflow(
        sub("one", inner, {"n": 2}),
        each("subs", "[3, 4]", sub("two", inner, {"n": "{{ item }}"}, output=None)),
        sets("end", "sum", "state.one.many | sum"),
    )


SHAPES = {"linear": linear, "looping": looping, "parallel": parallel, "nested": nested}


async def main(verb: str, store: str, run_id: str, shape: str, effects: str) -> None:
    descriptor = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def do(params: dict[str, object], context: object) -> object:
        os.write(descriptor, f"{context.address}\n".encode())  # type: ignore[attr-defined]
        await asyncio.sleep(random.uniform(0, 0.006))
        return params["value"]

    made, actions = SHAPES[shape](), {"work": do}
    runs = RunStore(store)
    with runs.create(run_id) if verb == "run" else runs.open(run_id) as log:
        stream = run(made, log=log, actions=actions) if verb == "run" else resume(made, log, actions=actions)
        async for event in stream:
            if event.type == "run_started":
                print("begun", flush=True)
            last = event
    assert isinstance(last, Finished), last
    print(json.dumps({"state": last.state}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
