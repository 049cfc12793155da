import asyncio
import base64
from pathlib import Path

import pytest
from tests.actions.context import act, context
from tests.engine.build import call, drive, go_on, steps, workflow

from the_edge_agent.actions import BUILTIN_ACTIONS
from the_edge_agent.adapters.local_files import LocalFiles
from the_edge_agent.adapters.sqlite_memory import SqliteMemory
from the_edge_agent.engine.memory_log import MemoryLog
from the_edge_agent.engine.ports import Ports
from the_edge_agent.errors import (
    ActionError,
    ActionParamsInvalid,
    FileActionFailed,
    PermissionDenied,
    TemplateError,
    ToolFailed,
)
from the_edge_agent.inference import Tool
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.load import parse_workflow
from the_edge_agent.workflow.nodes import Permissions


def do(name: str, params, where=None):
    return asyncio.run(act(name, params, where))


def test_the_registry_and_the_table_of_signatures_hold_the_same_actions() -> None:
    assert set(BUILTIN_ACTIONS) == set(BUILTIN)
    assert all(callable(BUILTIN_ACTIONS[name]) for name in BUILTIN)
    assert len(BUILTIN_ACTIONS) == len(BUILTIN)


# --- json ---------------------------------------------------------------------------------------------------------


def test_json_text_becomes_its_value() -> None:
    assert do("json.parse", {"text": '{"a": [1, null, "\\ud800"]}'}) == {"a": [1, None, "\ud800"]}


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "{'a': 1}", "[" * 100_000, "1 2"])
def test_text_that_is_no_json_fails_or_gives_the_default(text: str) -> None:
    with pytest.raises(ActionError, match="no JSON"):
        do("json.parse", {"text": text})
    assert do("json.parse", {"text": text, "default": None}) is None


def test_transform_computes_from_data_state_and_variables() -> None:
    where = context(scope={"state": {"n": 2}, "variables": {"k": 3}})
    params = {
        "data": [1, 2, 3],
        "expression": "{'sum': data | sum, 'scaled': (data | length) * state.n * variables.k}",
    }
    assert do("json.transform", params, where) == {"sum": 6, "scaled": 18}


def test_transform_can_not_reach_what_is_no_data() -> None:
    for expression in ("data.__class__", "data | attr('__class__')", "().__class__.__bases__"):
        with pytest.raises(TemplateError):
            do("json.transform", {"data": "x", "expression": expression})


# --- template -----------------------------------------------------------------------------------------------------


def test_a_template_is_rendered_once_and_its_result_is_text() -> None:
    where = context(
        scope={"state": {"evil": "{{ secrets.KEY }}"}, "secrets": {"KEY": "s3cret"}, "variables": {}}
    )
    out = do(
        "template.render",
        {"template": "{{ state.evil }} {{ name }}", "values": {"name": "{{ 1 + 1 }}"}},
        where,
    )
    assert out == "{{ secrets.KEY }} {{ 1 + 1 }}"
    assert do("template.render", {"template": "{{ 1 + 1 }}"}, where) == "2"


def test_values_do_not_stand_in_for_the_runs_own_names() -> None:
    where = context(scope={"state": {"x": "real"}, "variables": {}})
    assert (
        do("template.render", {"template": "{{ state.x }}", "values": {"state": {"x": "fake"}}}, where)
        == "real"
    )


def test_the_template_of_a_file_reaches_the_action_unrendered() -> None:
    text = """
name: t
nodes:
  - name: a
    uses: template.render
    with: {template: "{{ word }} {{ state.q }}", values: {word: "{{ state.q }}"}}
    output: out
  - name: b
    uses: json.transform
    with: {data: "{{ state.q }}", expression: "data ~ '!'"}
    output: loud
"""
    told = drive(parse_workflow(text), {"q": "{{ 7 * 7 }}"}, actions=BUILTIN_ACTIONS)
    assert told.state["out"] == "{{ 7 * 7 }} {{ 7 * 7 }}"
    assert told.state["loud"] == "{{ 7 * 7 }}!"


# --- file ---------------------------------------------------------------------------------------------------------


def files(folder: Path, *roots: str):
    return context(Ports(files=LocalFiles()), Permissions(files=roots or (".",)), base_dir=str(folder))


@pytest.mark.parametrize(
    ("content", "form", "back"),
    [
        ("text \u00e9", "text", "text \u00e9"),
        ({"a": [1]}, "json", {"a": [1]}),
        (base64.b64encode(b"\xff\x00").decode(), "base64", "/wA="),
    ],
)
def test_a_file_is_written_and_read_in_its_format(tmp_path: Path, content, form: str, back) -> None:
    where = files(tmp_path)
    written = do("file.write", {"path": "sub/f", "content": content, "format": form}, where)
    read = do("file.read", {"path": "sub/f", "format": form}, where)
    assert read["content"] == back
    assert read["size_bytes"] == written["size_bytes"] == (tmp_path / "sub" / "f").stat().st_size


def test_a_value_that_is_no_text_is_written_as_json(tmp_path: Path) -> None:
    do("file.write", {"path": "f", "content": {"a": 1}}, files(tmp_path))
    assert (tmp_path / "f").read_text() == '{"a": 1}'


def test_append_adds_at_the_end(tmp_path: Path) -> None:
    for line in ("one\n", "two\n"):
        do("file.write", {"path": "log", "content": line, "append": True}, files(tmp_path))
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_outside_the_runs_folder_there_is_nothing_unless_it_is_permitted(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "f").write_text("x")
    with pytest.raises(PermissionDenied):
        do("file.read", {"path": "../out/f"}, files(inside))
    with pytest.raises(PermissionDenied):
        do("file.read", {"path": str(outside / "f")}, files(inside))
    assert do("file.read", {"path": "../out/f"}, files(inside, ".", "../out"))["content"] == "x"
    assert do("file.read", {"path": str(outside / "f")}, files(inside, str(outside)))["content"] == "x"


@pytest.mark.parametrize(("data", "form"), [(b"\xff", "text"), (b"{", "json"), (b"\xff", "json")])
def test_a_file_of_another_format_says_so(tmp_path: Path, data: bytes, form: str) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(FileActionFailed, match="f is no"):
        do("file.read", {"path": "f", "format": form}, files(tmp_path))


def test_base64_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in ("???", {"a": 1}):
        with pytest.raises(ActionParamsInvalid):
            do("file.write", {"path": "f", "content": content, "format": "base64"}, files(tmp_path))


def test_a_missing_permission_is_an_error_of_the_run_that_on_error_sees(tmp_path: Path) -> None:
    text = """
name: t
nodes:
  - name: a
    uses: file.read
    with: {path: /etc/passwd}
    on_error: {fallback: "refused: {{ error.name }}"}
    output: out
"""
    told = drive(
        parse_workflow(text, file=str(tmp_path / "a.yaml")),
        actions=BUILTIN_ACTIONS,
        ports=Ports(files=LocalFiles()),
    )
    assert told.state == {"out": "refused: PermissionDenied"}


# --- memory -------------------------------------------------------------------------------------------------------


def test_what_is_stored_is_retrieved_by_key_and_found_by_vector(tmp_path: Path) -> None:
    where = context(Ports(memory=SqliteMemory(tmp_path / "m.db")))
    for key, vector in (("east", [1.0, 0.0]), ("north", [0.0, 1.0])):
        params = {"key": key, "value": {"is": key}, "embedding": vector, "metadata": {"n": 1}}
        assert do("memory.store", params, where) == {"key": key, "namespace": "agent"}
    assert do("memory.retrieve", {"key": "east"}, where) == {
        "found": True,
        "key": "east",
        "value": {"is": "east"},
        "metadata": {"n": 1},
    }
    hits = do("memory.search", {"embedding": [2.0, 0.1], "min_score": 0.5}, where)["hits"]
    assert [hit["key"] for hit in hits] == ["east"]


def test_what_is_not_there_gives_the_default(tmp_path: Path) -> None:
    where = context(Ports(memory=SqliteMemory(tmp_path / "m.db")))
    assert do("memory.retrieve", {"key": "x", "default": 7}, where)["value"] == 7
    assert do("memory.retrieve", {"key": "x"}, where)["found"] is False


def test_a_text_is_embedded_by_llm_embed(tmp_path: Path) -> None:
    asked: list[object] = []

    async def embed(params, _context):
        asked.append(params)
        return {"embedding": [float(len(params["text"])), 1.0]}

    where = context(Ports(memory=SqliteMemory(tmp_path / "m.db")), actions={"llm.embed": embed})
    do("memory.store", {"key": "k", "value": 1, "text": "abc", "model": "m"}, where)
    assert do("memory.search", {"text": "abc"}, where)["hits"][0]["score"] == pytest.approx(1.0, abs=1e-6)
    assert asked == [{"text": "abc", "model": "m"}, {"text": "abc"}]


@pytest.mark.parametrize("embedding", [[], ["a"], [True], [None]])
def test_an_embedding_that_is_none_is_refused(tmp_path: Path, embedding) -> None:
    where = context(Ports(memory=SqliteMemory(tmp_path / "m.db")))
    with pytest.raises(ActionParamsInvalid):
        do("memory.search", {"embedding": embedding}, where)


def test_a_run_without_a_memory_says_so() -> None:
    with pytest.raises(ActionError, match="no memory"):
        do("memory.retrieve", {"key": "x"})


# --- mcp ----------------------------------------------------------------------------------------------------------


class Server:
    async def tools(self, server: str):
        return [Tool("add", "", {"type": "object"})]

    async def call(self, server: str, tool: str, arguments, *, timeout_s: float):
        return [server, tool, arguments, timeout_s]


def test_a_permitted_tool_is_called_with_its_arguments() -> None:
    where = context(Ports(mcp=Server()), Permissions(tools=frozenset({"numbers.add"})), deadline_s=5.0)
    params = {"server": "numbers", "tool": "add", "arguments": {"a": 1}}
    assert do("mcp.call", params, where) == ["numbers", "add", {"a": 1}, 5.0]


def test_a_tool_that_is_not_permitted_is_not_called() -> None:
    where = context(Ports(mcp=Server()), Permissions(tools=frozenset({"numbers.add"})))
    with pytest.raises(PermissionDenied, match=r"numbers\.delete"):
        do("mcp.call", {"server": "numbers", "tool": "delete"}, where)


def test_a_run_without_servers_says_so() -> None:
    with pytest.raises(ToolFailed, match="'numbers'"):
        do(
            "mcp.call",
            {"server": "numbers", "tool": "add"},
            context(permissions=Permissions(tools=frozenset({"*"}))),
        )


# --- human --------------------------------------------------------------------------------------------------------


def test_a_question_of_a_file_stops_the_run_and_goes_on_with_the_answer() -> None:
    text = """
name: t
nodes:
  - name: ask
    uses: human.ask
    with: {prompt: "Send {{ state.q }}?", kind: confirm, context: {to: you}}
    output: yes
"""
    made, log = parse_workflow(text), MemoryLog("r")
    told = drive(made, {"q": "it"}, log=log, actions=BUILTIN_ACTIONS)
    assert told.question["prompt"] == "Send it?"
    assert told.question["context"] == {"to": "you"}
    assert go_on(made, log, answer="yes", actions=BUILTIN_ACTIONS).state["yes"] is True


def test_two_questions_of_one_node_have_two_answers() -> None:
    async def twice(_params, context):
        return [
            await context.ask({"kind": "text", "prompt": "one"}),
            await context.ask({"kind": "text", "prompt": "two"}),
        ]

    made, log = workflow(steps("s", call("a", "twice"))), MemoryLog("r")
    shared = {"twice": twice}
    assert drive(made, log=log, actions=shared).question["address"] == "s/a?1"
    assert go_on(made, log, answer="1", actions=shared).question["address"] == "s/a?2"
    assert go_on(made, log, answer="2", actions=shared).state == {"a": ["1", "2"]}
