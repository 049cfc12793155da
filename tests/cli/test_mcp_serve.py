"""Agents as MCP tools, asked by the official client over real pipes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TextIO

import pytest
from tests.cli import agents
from tests.cli.tea import COMMAND, clean_environ, tea

from the_edge_agent.cli.agent_tools import agent_tools, input_json_schema
from the_edge_agent.errors import UsageError
from the_edge_agent.workflow.load import parse_workflow

mcp = pytest.importorskip("mcp")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("CHAT", "COUNT", "ASK", "FAILING"):
        (tmp_path / f"{name.lower()}.yaml").write_text(getattr(agents, name))
    return tmp_path


def ask_server(home: Path, *calls: tuple[str, dict]) -> tuple[list, list]:
    """The tools of ``tea mcp serve`` and the results of these calls."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    files = [f"{name}.yaml" for name in ("chat", "count", "ask", "failing")]
    parameters = StdioServerParameters(
        command=COMMAND[0],
        args=["-m", "the_edge_agent.cli", "mcp", "serve", *files],
        env=clean_environ(home),
        cwd=str(home),
    )

    async def talk(errors: TextIO) -> tuple[list, list]:
        async with (
            stdio_client(parameters, errlog=errors) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            listed = await session.list_tools()
            return listed.tools, [await session.call_tool(name, arguments) for name, arguments in calls]

    with (home / "server.log").open("w") as errors:
        return asyncio.run(asyncio.wait_for(talk(errors), 90))


def test_each_agent_is_a_tool_and_a_call_is_a_run(home: Path) -> None:
    tools, (counted, asked, failed, wrong, unknown) = ask_server(
        home, ("count", {"start": 4}), ("approval", {}), ("failing", {}), ("small-chat", {}), ("conut", {})
    )
    described = {tool.name: tool for tool in tools}
    assert set(described) == {"small-chat", "count", "approval", "failing"}
    assert described["small-chat"].description == "Answers a question."
    assert described["small-chat"].input_schema["required"] == ["question"]
    assert (counted.is_error, counted.content[0].text) == (False, "6")
    assert counted.structured_content["answer"] == 6
    assert asked.is_error
    assert "tea resume" in asked.content[0].text
    assert failed.is_error
    assert failed.content[0].text.startswith("TemplateError: ")
    assert wrong.content[0].text.startswith("InputInvalid: input.question: is missing")
    assert "did you mean 'count'?" in unknown.content[0].text
    statuses = [line.split("\t")[1] for line in tea("runs", "list", home=home).out.splitlines()]
    assert sorted(statuses) == ["failed", "finished", "interrupted"]


def test_an_input_schema_becomes_json_schema() -> None:
    workflow = parse_workflow(
        "name: a\n"
        "input_schema:\n"
        "  text: {type: string, required: true, min_length: 1, description: what}\n"
        "  count: {type: integer, default: 3, min: 1, max: 9}\n"
        "  tags: {type: array, items: {type: string, choices: [x, y]}, max_length: 4}\n"
        "nodes: [{name: n, run: {type: expression, value: '1', output_key: answer}}]\n"
    )
    assert input_json_schema(workflow.input_schema) == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 1, "description": "what"},
            "count": {"type": "integer", "default": 3, "minimum": 1, "maximum": 9},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}, "maxItems": 4},
        },
        "additionalProperties": False,
        "required": ["text"],
    }


def test_two_agents_of_one_name_cannot_be_served_together(home: Path) -> None:
    workflow = parse_workflow(agents.COUNT)
    with pytest.raises(UsageError, match="both called 'count'"):
        agent_tools([workflow, workflow])
    done = tea("mcp", "serve", "count.yaml", "count.yaml", home=home)
    assert (done.code, done.out) == (2, "")


def test_a_file_that_cannot_be_loaded_is_refused_before_anything_is_served(home: Path) -> None:
    done = tea("mcp", "serve", "missing.yaml", home=home)
    assert done.first_error_line.startswith("WorkflowInvalid: missing.yaml")
    assert done.out == ""
