"""The JSON Schema for editors: in step with the tables, and never stricter than the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.workflow.test_graph import BRANCHES, FORK, file
from tests.workflow.test_load import node

from the_edge_agent.errors import WorkflowInvalid
from the_edge_agent.workflow.compose import parse_document
from the_edge_agent.workflow.document import plain
from the_edge_agent.workflow.load import parse_workflow
from the_edge_agent.workflow.refusals import Refusals
from the_edge_agent.workflow.schema import agent_schema, schema_text

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "schema" / "agent.schema.json"
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
VALIDATOR = Draft202012Validator(agent_schema())


def faults(text: str) -> list[str]:
    value: Any = parse_document(text, Refusals("f"))
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(plain(value))]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(agent_schema())


def test_the_published_schema_is_in_step_with_the_tables() -> None:
    assert PUBLISHED.read_text() == schema_text(), (
        "run: python -m the_edge_agent.workflow.schema > docs/schema/agent.schema.json"
    )


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid_and_names_the_schema(path: Path) -> None:
    text = path.read_text()
    assert faults(text) == []
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == PUBLISHED


@pytest.mark.parametrize(
    "text",
    [
        node('uses: llm.call\nwith: {prompt: "{{ state.x }}", max_tokens: "{{ state.n }}", tools: "{{ state.t }}"}'),
        node("run: {type: expression, value: true, output_key: x}"),
        node("type: dynamic_parallel\nitems: [1]\naction: {uses: template.render, with: {template: x}}"),
        node("uses: human.ask\nwith: {prompt: x, kind: choice, choices: [a]}\non_error: {fallback: null}"),
        file(BRANCHES, FORK),
        "input_schema: {q: string, n: {type: integer, items: {}}}\nnodes: [{name: 1}]".replace(", items: {}", ""),
        "version: 1.0\nsettings: {permissions: {net: example.com, tools: [a]}}\nnodes: [{name: a}]",
        "config: {interrupt_before: a}\nnodes: [{name: a, retry: {on: RateLimited}, uses: llm.call, with: {prompt: x}}]",
        "state_schema: {l: {type: array, reducer: append}, n: integer}\nnodes: [{name: a}]",
    ],
)  # fmt: skip
def test_what_the_loader_accepts_is_valid(text: str) -> None:
    parse_workflow(text)
    assert faults(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "nodes: [{nme: a}]",
        "nodes: [{name: a, uses: llm.cal}]",
        node("uses: llm.call\nwith: {promt: x}"),
        node("uses: llm.call\nwith: {prompt: x, max_tokens: many}"),
        node("uses: llm.call\nwith: {prompt: x, level: high}"),
        node("type: while_loop\nmax_iterations: 2000"),
        "settings: {llm: {backend: cloud}}\nnodes: [{name: a}]",
        "input_schema: {q: {type: str}}\nnodes: [{name: a}]",
        "name: x",
    ],
)
def test_mistakes_are_marked_while_typing(text: str) -> None:
    with pytest.raises(WorkflowInvalid):
        parse_workflow(text)
    assert faults(text)


def test_every_key_and_parameter_has_a_description() -> None:
    def described(schema: Any, path: str) -> None:
        for name, entry in schema.get("properties", {}).items():
            assert entry.get("description"), f"{path}.{name}"

    for name, schema in agent_schema()["$defs"].items():
        if not name.startswith("with:"):
            described(schema, name)
        else:
            described(schema, name)
    assert json.loads(schema_text()) == agent_schema()
