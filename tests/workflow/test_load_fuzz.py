"""Mutated agent files load or are refused, never crash, hang or fill the memory. ROUNDS sets how many are tried."""

from __future__ import annotations

import random
import resource
import signal
from pathlib import Path

from tests.rounds import rounds

from the_edge_agent.errors import WorkflowInvalid
from the_edge_agent.workflow.load import parse_workflow

ROUNDS = rounds(1_500, 6_000, 20_000)
#: CPU seconds that one small file may take; it takes milliseconds.
MOST_S = 20

SEEDS = [path.read_text() for path in sorted((Path(__file__).parents[2] / "examples").rglob("*.yaml"))] + [
    """\
imports: {o: other.yaml}
input_schema: {q: {type: string, pattern: '^[a-z]{1,5}$', min_length: 1, default: abc}, l: {type: array, items: integer}}
state_schema: {log: {type: array, reducer: append}}
settings: {max_steps: 5, llm: {backend: local, n_ctx: 100}, error_handling: {retry: {max_attempts: 2, on: [NodeFailed]}}}
nodes:
  - name: a
    uses: llm.call
    with: &params {prompt: "{{ state.q | upper }} {% for x in state.l %}{{ loop.index }}{% endfor %}", max_tokens: 5}
    outputs: {x: "{{ result.content }}"}
    goto: [{if: "state.x in ['a', 'b'] and not state.y", to: c}, {to: b}]
  - {name: b, type: while_loop, condition: state.n < 3, max_iterations: 10, body: [{run: {type: expression, value: "1 + state.n", output_key: n}}]}
  - {name: c, type: dynamic_parallel, items: "{{ state.l }}", action: {uses: llm.call, with: *params}, output: all}
  - {name: d, run: "return {'x': 1}", when: state.z, timeout_s: 1.5, on_error: {goto: e}}
  - {name: e, subgraph: o, input: {q: "{{ state.q }}"}, output: r}
  - {name: f}
  - {name: g}
  - {name: h, fan_in: true, run: {type: expression, value: "parallel_results | length", output_key: k}}
edges: [{from: e, to: [f, g], parallel: true, fan_in: h}, {from: f, to: h, when: state.x}]
config: {interrupt_before: [a]}
"""
]  # fmt: skip
PIECES = [
    "{{", "}}", "{%", "%}", "{#", "[", "]", "{", "}", ":", "- ", "\n", "  ", "&a ", "*a", "!!str ", "<<: *params", "|", ">",
    "'", '"', "\\", "\x00", "\ud800", "\u2028", "\t", "#", "%", "@", "null", "true", "on", "1e999", "-1", "9" * 40, "0o7",
    ".inf", "__start__", "__end__", "state.x", "{{ state.x.y | json }}", "{% if %}", "(" * 30, "a" * 300, "goto: a", "name: a",
    "uses: llm.call", "type: while_loop", "fan_in: h", "to: [f, g]", "---\n", "...\n", "? ", "steps:", "condition: ", "(?=a)",
]  # fmt: skip


def mutate(text: str, chance: random.Random) -> str:
    for _ in range(chance.choice([1, 1, 2, 3, 8, 20])):
        kind = chance.randrange(7)
        at, to = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
        to = min(to, at + chance.choice([1, 3, 10, 100]))
        lines = text.split("\n")
        if kind == 0:
            text = text[:at] + chance.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[to:]
        elif kind == 2:
            text = text[:at] + text[at:to] * chance.choice([2, 3, 50]) + text[to:]
        elif kind == 3:
            line = chance.randrange(len(lines))
            lines.insert(chance.randrange(len(lines)), lines[line])
            text = "\n".join(lines)
        elif kind == 4:
            del lines[chance.randrange(len(lines))]
            text = "\n".join(lines)
        elif kind == 5:
            text = (
                text[:at]
                + chr(chance.choice([chance.randrange(128), chance.randrange(0x11000)]))
                + text[at + 1 :]
            )
        else:
            other = chance.choice(SEEDS).split("\n")
            text = "\n".join([*lines[: chance.randrange(len(lines))], *other[chance.randrange(len(other)) :]])
        if len(text) > 100_000:
            text = text[:100_000]
    return text


def load_or_refuse(text: str, *, allow_code: bool) -> bool:
    try:
        parse_workflow(text, allow_code=allow_code, read_import=lambda _path: "nodes: [{name: x}]")
    except WorkflowInvalid as refusal:
        problems = refusal.problems
    else:
        return True
    assert problems
    for problem in problems:
        assert problem.place
        assert problem.what
        assert problem.fix
    return False


def test_mutated_files_load_or_are_refused_with_a_typed_error() -> None:
    chance = random.Random(20)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    loaded = 0
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        for number in range(ROUNDS):
            signal.setitimer(signal.ITIMER_PROF, MOST_S)
            loaded += load_or_refuse(mutate(chance.choice(SEEDS), chance), allow_code=number % 2 == 0)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 - before_mb
    assert 0 < loaded < ROUNDS  # the mutations neither all miss nor all hit
    assert grown_mb < 400


def test_the_seeds_themselves_load() -> None:
    for text in SEEDS:
        assert load_or_refuse(text, allow_code=True), text[:200]
