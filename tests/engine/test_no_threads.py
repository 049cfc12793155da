"""The core runs where there are no threads: in a browser."""

import subprocess
import sys

PROGRAM = """
import sys, threading

def refuse(self):
    raise RuntimeError("no threads here")

threading.Thread.start = refuse

import asyncio, importlib, pkgutil
import the_edge_agent.engine, the_edge_agent.workflow, the_edge_agent.inference, the_edge_agent.actions

for package in (the_edge_agent.engine, the_edge_agent.workflow, the_edge_agent.inference, the_edge_agent.actions):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)

from the_edge_agent.actions import BUILTIN_ACTIONS
from the_edge_agent.engine import MemoryLog
from the_edge_agent.engine.run import replay, resume, run
from the_edge_agent.workflow.load import parse_workflow

TEXT = '''
name: everything
nodes:
  - {name: start, run: {type: expression, value: "0", output_key: n}}
  - name: loop
    type: while_loop
    condition: state.n < 3
    max_iterations: 5
    body:
      - {name: inc, run: {type: expression, value: state.n + 1, output_key: n}}
  - name: fork
    uses: json.parse
    with: {text: "[1, 2]"}
    output: items
  - {name: left, uses: template.render, with: {template: "{{ state.n }}"}, output: l, timeout_s: 5}
  - {name: right, uses: json.transform, with: {data: "{{ state.items }}", expression: "data | sum"}, output: r}
  - {name: join, fan_in: true, run: {type: expression, value: "parallel_results | length", output_key: both}}
  - name: map
    type: dynamic_parallel
    items: state.items
    steps:
      - {name: x, run: {type: expression, value: item * 2, output_key: y}}
    output: all
  - {name: ask, uses: human.ask, with: {prompt: "Well?"}, output: said}
edges:
  - {from: fork, to: [left, right], parallel: true, fan_in: join}
'''

async def main():
    workflow, log = parse_workflow(TEXT), MemoryLog("r")
    async for event in run(workflow, {}, actions=BUILTIN_ACTIONS, log=log):
        last = event
    assert last.type == "interrupted", last
    async for event in resume(workflow, log, answer="fine", actions=BUILTIN_ACTIONS):
        last = event
    assert last.type == "finished", last
    assert last.state["all"] == [2, 4] and last.state["both"] == 2 and last.state["said"] == "fine", last
    async for event in replay(workflow, log, actions=BUILTIN_ACTIONS):
        again = event
    assert again.state == last.state

asyncio.run(main())
missing_in_a_browser = {"multiprocessing", "grpc", "llama_cpp", "sqlite3", "httpx"} & set(sys.modules)
assert not missing_in_a_browser, missing_in_a_browser
print("ran without threads")
"""


def test_engine_workflow_and_pure_actions_import_and_run_without_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == "ran without threads\n", done.stderr
