"""Reading agent files: a file of 1,000 nodes as a workflow, against the budget the project set, and PyYAML alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import yaml
from bench.row import Row, at_most, limit

from the_edge_agent.workflow.load import parse_workflow

NODES = 1_000

CHAIN = "name: chain\nnodes:\n" + "".join(
    f'  - name: node_{number}\n    run: {{type: expression, value: "state.n + {number}", output_key: n}}\n'
    for number in range(NODES)
)
CALLS = "name: calls\nnodes:\n" + "".join(
    f"""  - name: node_{number}
    uses: llm.call
    with:
      system: You are number {number}.
      prompt: "Answer {{{{ state.question }}}} with {{{{ state.value_{number} | default('nothing') }}}}"
      max_tokens: 20
    output: value_{number + 1}
"""
    for number in range(NODES)
)


def rows(quick: bool) -> Iterator[Row]:
    """The best of a few loads: what the work takes, not what else the machine did meanwhile."""
    times = 3 if quick else 7
    loaders = (
        [("libyaml", yaml.CSafeLoader)] if hasattr(yaml, "CSafeLoader") else [("PyYAML", yaml.SafeLoader)]
    )
    for name, text in (("expressions", CHAIN), ("model calls", CALLS)):
        ours_ms = best_ms(lambda text=text: parse_workflow(text), times)
        yield limit(f"engine load of {NODES:,} nodes, {name}", ours_ms, 150, "ms")
        for loader_name, loader in loaders:
            peer_ms = best_ms(lambda text=text, loader=loader: yaml.load(text, loader), times)
            yield at_most(
                f"engine load of {NODES:,} nodes, {name}, vs yaml.load by {loader_name}",
                ours_ms,
                peer_ms,
                3,
                "ms",
            )


def best_ms(load: Callable[[], object], times: int) -> float:
    """Milliseconds of CPU time of the fastest of several calls."""
    best_s = float("inf")
    for _ in range(times):
        started_s = time.process_time()
        load()
        best_s = min(best_s, time.process_time() - started_s)
    return best_s * 1000
