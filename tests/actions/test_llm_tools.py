"""llm.tools: the loop, its bounds, and what a model can't do."""

import asyncio

import pytest
from tests.actions.llm_context import make_context, perform

from the_edge_agent.actions.llm import LLM_ACTIONS
from the_edge_agent.backends.scripted import ScriptedAnswer, ScriptedBackend, tool_call
from the_edge_agent.engine.ports import Ports
from the_edge_agent.engine.question import Interruption
from the_edge_agent.errors import (
    ActionParamsInvalid,
    HttpFailed,
    PermissionDenied,
    SchemaUnsupported,
    ToolFailed,
)
from the_edge_agent.inference import Tool
from the_edge_agent.workflow.nodes import Permissions

NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
ADD = {"name": "add", "description": "Adds two numbers.", "parameters": NUMBERS, "uses": "test.add"}


class World:
    """Actions that record what reached them."""

    def __init__(self):
        self.seen = []

    async def add(self, params, _context):
        self.seen.append(dict(params))
        return params["a"] + params["b"]

    async def fail(self, params, _context):
        self.seen.append(dict(params))
        raise HttpFailed("the server said 404", status=404)

    async def deny(self, _params, _context):
        raise PermissionDenied("no net for you")

    async def crash(self, _params, _context):
        raise RuntimeError("a bug")

    async def question(self, _params, _context):
        raise Interruption({"prompt": "really?"})

    @property
    def actions(self):
        return {
            **LLM_ACTIONS,
            "test.add": self.add,
            "test.fail": self.fail,
            "test.deny": self.deny,
            "test.crash": self.crash,
            "test.ask": self.question,
        }


def ask(script, tools, *, world=None, **params):
    backend = ScriptedBackend(script)
    fields = {key: params.pop(key) for key in ("ports", "permissions", "context") if key in params}
    result = perform(
        "llm.tools",
        {"prompt": "x", "tools": tools, **params},
        backend,
        actions=(world or World()).actions,
        **fields,
    )
    return result, backend


def test_a_tool_s_result_goes_back_to_the_model_and_its_last_answer_counts():
    world = World()
    result, backend = ask([tool_call("add", {"a": 2, "b": 3}), "It is 5."], [ADD], world=world)
    assert (result["content"], result["rounds"], result["finish_reason"]) == ("It is 5.", 1, "stop")
    assert result["tool_calls"] == [
        {"id": "call_add", "name": "add", "arguments": {"a": 2, "b": 3}, "result": 5}
    ]
    assert [m.role for m in backend.requests[1].messages] == ["user", "assistant", "tool"]
    assert backend.requests[1].messages[2].content == "5"
    assert world.seen == [{"a": 2, "b": 3}]


def test_no_tool_needs_to_be_called():
    result, _ = ask(["Hello."], [ADD])
    assert (result["content"], result["rounds"], result["tool_calls"]) == ("Hello.", 0, [])


def test_calls_of_one_round_run_side_by_side_and_answer_in_order():
    together = asyncio.Barrier(2)

    async def wait_for_the_other(params, _context):
        await together.wait()  # hangs unless both are there at once
        return params["a"]

    tool = {**ADD, "uses": "test.meet"}
    calls = [tool_call("add", {"a": 1, "b": 0}, call_id="x"), tool_call("add", {"a": 2, "b": 0}, call_id="y")]
    backend = ScriptedBackend([calls, "done"])
    result = perform(
        "llm.tools",
        {"prompt": "x", "tools": [tool]},
        backend,
        actions={**LLM_ACTIONS, "test.meet": wait_for_the_other},
    )
    assert [(call["id"], call["result"]) for call in result["tool_calls"]] == [("x", 1), ("y", 2)]


def test_an_unknown_tool_never_runs_and_the_model_is_told():
    world = World()
    result, backend = ask([tool_call("file.write", {"path": "x"}), "Sorry."], [ADD], world=world)
    assert world.seen == []
    assert "unknown tool 'file.write'" in backend.requests[1].messages[-1].content
    assert result["content"] == "Sorry."


def test_if_one_call_of_a_round_is_wrong_none_runs():
    world = World()
    calls = [tool_call("add", {"a": 1, "b": 2}), tool_call("add", {"a": "one", "b": 2})]
    result, _ = ask([calls, "ok"], [ADD], world=world)
    assert world.seen == []
    assert "not run: another call" in result["tool_calls"][0]["error"]
    assert "/a: is 'one'" in result["tool_calls"][1]["error"]


def test_undeclared_arguments_never_reach_an_action():
    world = World()
    result, _ = ask([tool_call("add", {"a": 1, "b": 2, "headers": {}}), "ok"], [ADD], world=world)
    assert world.seen == []
    assert "/headers: may not be here" in result["tool_calls"][0]["error"]


def test_a_model_that_never_stops_calling_is_stopped():
    world = World()
    with pytest.raises(ToolFailed, match="after 3 rounds; raise max_tool_rounds"):
        ask(lambda _request: tool_call("add", {"a": 1, "b": 2}), [ADD], world=world, max_tool_rounds=3)
    assert len(world.seen) == 3


def test_a_flood_of_calls_in_one_round_runs_none():
    world = World()
    ask([[tool_call("add", {"a": 1, "b": 2})] * 33, "ok"], [ADD], world=world)
    assert world.seen == []


def test_a_tool_that_fails_tells_the_model():
    tool = {"name": "fetch", "parameters": NUMBERS, "uses": "test.fail"}
    result, backend = ask([tool_call("fetch", {"a": 1, "b": 2}), "Not found."], [tool])
    assert backend.requests[1].messages[-1].content == '{"error": "the server said 404"}'
    assert result["content"] == "Not found."


@pytest.mark.parametrize(("uses", "error"), [("test.deny", PermissionDenied), ("test.crash", RuntimeError)])
def test_a_missing_permission_and_a_bug_fail_the_node(uses, error):
    tool = {"name": "act", "uses": uses}
    with pytest.raises(error):
        ask([tool_call("act"), "never"], [tool])
    with pytest.raises(error):
        ask([[tool_call("act"), tool_call("add", {"a": 1, "b": 2})], "never"], [tool, ADD])


def test_a_question_to_a_person_leaves_the_loop_as_it_is():
    tool = {"name": "act", "uses": "test.ask"}
    for calls in (tool_call("act"), [tool_call("act"), tool_call("add", {"a": 1, "b": 2})]):
        with pytest.raises(Interruption):
            ask([calls, "never"], [tool, ADD])


def test_with_fixes_parameters_that_the_model_cannot_change():
    world = World()
    tool = {**ADD, "parameters": {"type": "object", "properties": {"a": {}, "b": {}}}, "with": {"b": 10}}
    ask([tool_call("add", {"a": 1, "b": 99}), "ok"], [tool], world=world)
    assert world.seen == [{"a": 1, "b": 10}]


def test_dollar_names_put_arguments_where_the_action_wants_them():
    world = World()
    tool = {
        "name": "sum",
        "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
        "uses": "test.add",
        "with": {"a": "$x", "b": 1, "all": "$arguments", "price": "$$5", "deep": [{"x": "$x"}], "none": "$y"},
    }
    ask([tool_call("sum", {"x": 4}), "ok"], [tool], world=world)
    assert world.seen == [{"a": 4, "b": 1, "all": {"x": 4}, "price": "$5", "deep": [{"x": 4}]}]


def test_parameters_can_be_taken_from_the_action_s_signature():
    result, backend = ask(
        ["ok"], [{"name": "weigh", "uses": "llm.similarity", "with": {"candidates": ["a", "b"]}}]
    )
    tool = backend.requests[0].tools[0]
    assert tool.parameters["required"] == ["text"]
    assert "candidates" not in tool.parameters["properties"]
    assert tool.description == "How close texts are in meaning, by their vectors."
    assert result["content"] == "ok"


def test_the_parameters_of_a_built_in_action_are_checked_as_a_file_s_are():
    tool = {
        "name": "embed",
        "uses": "llm.embed",
        "parameters": {"type": "object", "properties": {"text": {}}},
    }
    result, _ = ask([tool_call("embed", {"text": {"a": 1}}), "ok"], [tool])
    assert "text is {'a': 1}, and takes string or array" in result["tool_calls"][0]["error"]


@pytest.mark.parametrize(
    "tool",
    [
        {"name": "t", "uses": "template.render"},
        {"name": "t", "uses": "template.render", "with": {"template": "$t"}, "parameters": NUMBERS},
        {
            "name": "t",
            "uses": "template.render",
            "with": {"template": "x"},
            "parameters": {"type": "object", "properties": {"template": {}}},
        },
    ],
)
def test_a_model_never_writes_a_template_or_an_expression(tool):
    backend = ScriptedBackend("x")
    with pytest.raises(ActionParamsInvalid, match="must be fixed in `with`"):
        perform("llm.tools", {"prompt": "x", "tools": [tool]}, backend, actions={"template.render": None})
    assert backend.requests == []


@pytest.mark.parametrize(
    ("tools", "what"),
    [
        ([], "no list of tools"),
        (["add"], "is no object"),
        ([{"name": "a", "uses": "no.such"}], "there is no action 'no.such'"),
        ([{"name": "a"}], "there is no action None"),
        ([{**ADD, "parms": {}}], "has no key 'parms'"),
        ([ADD, ADD], "two tools are called 'add'"),
        ([{**ADD, "with": []}, {**ADD, "with": "x"}], "with is no object"),
        ([{"mcp": "files"}], "no MCP servers"),
        ([{"mcp": "files", "onyl": []}], "has no key 'onyl'"),
    ],
)
def test_tools_that_cannot_be_bound_fail_before_any_model_is_asked(tools, what):
    backend = ScriptedBackend("x")
    with pytest.raises(ActionParamsInvalid, match=what):
        perform("llm.tools", {"prompt": "x", "tools": tools}, backend, actions=World().actions)
    assert backend.requests == []


def test_parameters_that_cannot_be_enforced_name_the_tool():
    with pytest.raises(SchemaUnsupported, match=r"^tools\.add: schema/properties/a/not: the keyword"):
        ask(["x"], [{**ADD, "parameters": {"type": "object", "properties": {"a": {"not": {}}}}}])


def test_a_forced_choice_is_forced_once():
    _, backend = ask([tool_call("add", {"a": 1, "b": 2}), "ok"], [ADD], tool_choice="required")
    assert [request.tool_choice for request in backend.requests] == ["required", "auto"]


def test_a_response_format_shapes_the_last_answer_only():
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    script = [tool_call("add", {"a": 1, "b": 2}), "It is 3.", '{"sum": 3}']
    result, backend = ask(script, [ADD], response_format={"type": "json_schema", "schema": schema})
    assert result["json"] == {"sum": 3}
    assert [(r.response_format.type, len(r.tools)) for r in backend.requests] == [
        ("text", 1),
        ("text", 1),
        ("json_schema", 0),
    ]


def test_usage_is_the_sum_of_all_rounds():
    result, _ = ask([ScriptedAnswer("abc", (tool_call("add", {"a": 1, "b": 2}),)), "ok"], [ADD])
    assert result["usage"]["completion_tokens"] == 5


class FakeMcp:
    def __init__(self):
        self.calls = []

    async def tools(self, _server):
        return [Tool("read", "Reads.", NUMBERS), Tool("wipe", "Wipes.", NUMBERS)]

    async def call(self, server, tool, arguments, *, timeout_s):
        self.calls.append((server, tool, dict(arguments), timeout_s))
        return {"ok": True}


def test_tools_of_an_mcp_server_run_where_they_are_permitted():
    mcp = FakeMcp()
    result, backend = ask(
        [tool_call("read", {"a": 1, "b": 2}), "done"],
        [{"mcp": "disk"}],
        ports=Ports(mcp=mcp),
        permissions=Permissions(tools=frozenset({"disk.read"})),
    )
    assert mcp.calls == [("disk", "read", {"a": 1, "b": 2}, 60.0)]
    assert [tool.name for tool in backend.requests[0].tools] == ["read"]
    assert result["tool_calls"][0]["result"] == {"ok": True}


@pytest.mark.parametrize(
    ("entry", "allowed", "error"),
    [
        ({"mcp": "disk"}, frozenset(), PermissionDenied),
        ({"mcp": "disk", "only": ["wipe"]}, frozenset({"disk.read"}), PermissionDenied),
        ({"mcp": "disk", "only": ["copy"]}, frozenset({"disk"}), ActionParamsInvalid),
    ],
)
def test_mcp_tools_without_permission_are_refused(entry, allowed, error):
    with pytest.raises(error):
        ask(["x"], [entry], ports=Ports(mcp=FakeMcp()), permissions=Permissions(tools=allowed))


def test_a_tool_round_counts_against_the_node_s_report():
    backend = ScriptedBackend([tool_call("add", {"a": 1, "b": 2}), "ok"])
    context = make_context(backend, actions=World().actions)
    perform("llm.tools", {"prompt": "x", "tools": [ADD]}, backend, context=context)
    assert context.report.usage.completion_tokens == 2
