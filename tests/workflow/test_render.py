"""Drawings of a workflow: pure, complete, and safe to paste."""

from __future__ import annotations

import json

import pytest

from the_edge_agent.workflow.nodes import Workflow
from the_edge_agent.workflow.render import FORMATS, render_workflow

WORKFLOW = Workflow.parse(
    """\
name: drawn "agent"
version: 2
description: Shows everything
input_schema: {q: {type: string, required: true}}
nodes:
  - {name: ask, uses: llm.call, with: {prompt: x}, output: answer, retry: {max_attempts: 3}, on_error: {goto: sorry},
     timeout_s: 5, cache: {ttl_s: 1}, when: state.x < 1}
  - {name: loop, type: while_loop, condition: state.n < 3, body: [{name: inner, run: {type: expression, value: "1", output_key: n}}]}
  - {name: fork}
  - {name: x}
  - {name: "y z", steps: [{}]}
  - {name: join, fan_in: true, goto: [{if: "state.s == '<b>'", to: ask}, {to: __end__}]}
  - {name: sorry}
edges: [{from: fork, to: [x, "y z"], parallel: true}]
"""
)


def test_the_text_shows_nodes_what_they_do_and_where_they_lead() -> None:
    text = render_workflow(WORKFLOW, "text")
    for part in (
        "input: q: string (required)",
        "- ask: llm.call -> answer [when state.x < 1] [retry 3x] [timeout 5 s] [cached]",
        "    then loop",
        "    else sorry if on error",
        "    - inner: n = 1",
        "    start x",
        "    meet at join",
        "    goto ask if state.s == '<b>'",
        "    goto __end__",
    ):
        assert part in text, text


def test_the_json_is_json_and_has_every_node_and_link() -> None:
    drawn = json.loads(render_workflow(WORKFLOW, "json"))
    assert [entry["name"] for entry in drawn["nodes"]] == [entry.name for entry in WORKFLOW.nodes]
    assert {"from": "fork", "to": "x", "kind": "parallel"} in drawn["links"]
    assert {"from": "join", "to": "ask", "kind": "goto", "if": "state.s == '<b>'"} in drawn["links"]
    assert drawn["nodes"][1]["nodes"][0]["does"] == "n = 1"
    assert drawn["digest"] == WORKFLOW.digest


def test_dot_and_mermaid_quote_what_would_break_them() -> None:
    dot = render_workflow(WORKFLOW, "dot")
    assert dot.startswith('digraph "drawn \\"agent\\"" {')
    assert '"fork" -> "y z" [style=bold];' in dot
    mermaid = render_workflow(WORKFLOW, "mermaid")
    assert "&lt;b&gt;" in mermaid
    assert "<b>" not in mermaid


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_format_draws_every_node(format_name: str) -> None:
    drawn = render_workflow(WORKFLOW, format_name)
    for entry in WORKFLOW.nodes:
        assert entry.name in drawn
