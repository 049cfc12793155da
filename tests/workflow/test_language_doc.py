"""docs/language.md: its tables are those of the code, and every example on it does what its comments say."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

import the_edge_agent
from the_edge_agent.backends.scripted import ScriptedBackend
from the_edge_agent.engine.events import Event, Failed, Finished
from the_edge_agent.workflow.language import TABLES
from the_edge_agent.workflow.language_doc import anchor, fill
from the_edge_agent.workflow.load import parse_workflow

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```yaml *(\S*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def said(block: str, name: str) -> Any:
    found = re.search(rf"^# {name}: (.*)$", block, re.MULTILINE)
    return json.loads(found[1]) if found else None


def test_the_generated_parts_are_in_step_with_the_tables() -> None:
    assert fill(TEXT) == TEXT, "run: python -m the_edge_agent.workflow.language_doc docs/language.md"


def test_every_table_of_the_language_is_on_the_page() -> None:
    for name in (*TABLES, "actions", "filters", "tests", "methods", "limits", "reducers", "scope", "errors"):
        assert f"<!-- table: {name} -->" in TEXT


def test_links_within_the_page_lead_somewhere() -> None:
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)}
    for target in re.findall(r"\]\(#([^)]*)\)", TEXT):
        assert target in anchors, target


def test_most_examples_run() -> None:
    assert sum(kind != "no-run" for kind, _ in BLOCKS) >= 12


@pytest.mark.parametrize(("kind", "block"), BLOCKS, ids=range(len(BLOCKS)))
def test_every_example_loads(kind: str, block: str) -> None:
    parse_workflow(block, allow_code=kind == "allow-code", read_import=lambda _path: "nodes: [{name: a}]")


@pytest.mark.parametrize(
    ("kind", "block"),
    [(kind, block) for kind, block in BLOCKS if kind != "no-run"],
    ids=lambda value: value[:40],
)
def test_every_example_ends_with_the_state_it_promises(kind: str, block: str) -> None:
    workflow = parse_workflow(block, allow_code=kind == "allow-code")
    model = ScriptedBackend(said(block, "model says") or "")

    async def last() -> Event:
        final = None
        async for event in the_edge_agent.run(workflow, said(block, "input"), backends={"local": model}):
            final = event
        assert final is not None
        return final

    event = asyncio.run(last())
    assert not isinstance(event, Failed), event
    assert isinstance(event, Finished)
    expected = said(block, "ends with")
    assert expected
    assert {key: event.state.get(key) for key in expected} == expected
