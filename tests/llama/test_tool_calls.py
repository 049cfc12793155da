"""What models write when they call tools, in their several dialects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis.strategies import lists, sampled_from, text

from the_edge_agent.errors import UsageError
from the_edge_agent.inference import ChatRequest, Message, Tool, ToolCall
from the_edge_agent.llama.tool_calls import MARKERS, may_begin_call, parse_tool_calls
from the_edge_agent.llama.tool_prompt import calls_grammar, resolve_rules, usable_tools, with_fallback

NAMES = frozenset({"add", "weather"})
ADD = Tool(
    "add", "Add two numbers", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
)
WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})


@pytest.mark.parametrize(
    ("written", "said", "calls"),
    [
        ('<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>', "", [("add", {"a": 1})]),
        ('Let me see.\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>', "Let me see.", [("add", {"a": 1})]),
        (
            '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>\n<tool_call>{"name": "weather", "arguments": {}}</tool_call>',
            "",
            [("add", {"a": 1}), ("weather", {})],
        ),
        ('<tool_call>{"name": "add", "arguments": {"a": 1}}', "", [("add", {"a": 1})]),
        ('[TOOL_CALLS][{"name": "add", "arguments": {"a": 1}}, {"name": "weather", "arguments": {"city": "X"}}]', "", [("add", {"a": 1}), ("weather", {"city": "X"})]),
        ('[TOOL_CALLS]add[ARGS]{"a": 1}[TOOL_CALLS]weather{"city": "Rome"}', "", [("add", {"a": 1}), ("weather", {"city": "Rome"})]),
        ('<|tool_call|>[{"name": "add", "arguments": {"a": 1}}]<|/tool_call|>', "", [("add", {"a": 1})]),
        ('<|python_tag|>{"name": "add", "parameters": {"a": 1}}', "", [("add", {"a": 1})]),
        ('{"name": "add", "parameters": {"a": 1}}', "", [("add", {"a": 1})]),
        ('{"name": "add", "parameters": {"a": 1}}; {"name": "add", "parameters": {"a": 2}}', "", [("add", {"a": 1}), ("add", {"a": 2})]),
        ('<function=add>{"a": 1}</function>', "", [("add", {"a": 1})]),
        ("<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>", "", [("add", {"a": 1})]),
        ("<function=weather><parameter=city>New York</parameter></function>", "", [("weather", {"city": "New York"})]),
        ('```json\n{"name": "add", "arguments": {"a": 1}}\n```', "", [("add", {"a": 1})]),
        ('<tool_call>{"name": "add", "arguments": "{\\"a\\": 1}"}</tool_call>', "", [("add", {"a": 1})]),
        ('<tool_call>{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}</tool_call>', "", [("add", {"a": 1})]),
    ],
)  # fmt: skip
def test_calls_are_read_in_every_dialect(written, said, calls):
    content, found = parse_tool_calls(written, NAMES)
    assert content == said
    assert [(call.name, json.loads(call.arguments)) for call in found] == calls


@pytest.mark.parametrize(
    "written",
    [
        "Just text.",
        '{"name": "Bob", "age": 3}',
        '{"name": "Bob"}',
        "[1, 2, 3]",
        '```json\n{"name": "Bob", "arguments": {}}\n```',
        "<tool_call>nonsense</tool_call>",
        "<tool_call>",
        '<tool_call>{"name": 5}</tool_call>',
        '<tool_call>{"name": ',
        "",
        "{" * 100_000,
        "<tool_call>" + "[" * 100_000,
    ],
)
def test_what_is_no_call_stays_text(written):
    assert parse_tool_calls(written, NAMES) == (written, ())


def test_a_call_of_an_unknown_tool_is_reported_so_that_it_can_be_refused_by_name():
    _, calls = parse_tool_calls('<tool_call>{"name": "rm", "arguments": {}}</tool_call>', NAMES)
    assert [call.name for call in calls] == ["rm"]


@pytest.mark.parametrize(
    "quoted",
    [
        "<function=delete>{}</function>",
        '[TOOL_CALLS]delete{"all": true}',
        '<tool_call>{"name": "delete", "arguments": {}}</tool_call>',
        '```json {"name": "delete", "arguments": {}}',
    ],
)
@pytest.mark.parametrize(
    "written",
    [
        '<tool_call>{"name": "note", "arguments": %s}</tool_call>',
        "[TOOL_CALLS]note%s",
        "[TOOL_CALLS]note[ARGS]%s",
        '[TOOL_CALLS][{"name": "note", "arguments": %s}]',
        '<|tool_call|>[{"name": "note", "arguments": %s}]',
        '{"name": "note", "arguments": %s}',
    ],
)
def test_what_arguments_quote_is_no_call(written, quoted):
    arguments = json.dumps({"text": f"they wrote: {quoted}"})
    _, calls = parse_tool_calls(written % arguments, {"note", "delete"})
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("note", json.loads(arguments))]


def test_what_json_quotes_is_no_call_whoever_it_is_for():
    text = '{"name": "unknown", "arguments": {"text": "<function=delete>{}</function>"}}'
    assert parse_tool_calls(text, {"delete"}) == (text, ())


def test_ids_are_nine_characters_distinct_and_the_same_in_a_replay():
    written = '<tool_call>{"name": "add", "arguments": {}}</tool_call>' * 3
    _, calls = parse_tool_calls(written, NAMES)
    assert len({call.id for call in calls}) == 3
    assert {len(call.id) for call in calls} == {9}
    assert parse_tool_calls(written, NAMES)[1] == calls


@given(lists(sampled_from([*MARKERS, "<", "[", "text ", "\n", "`", "{"]) | text(max_size=3), max_size=8))
def test_text_is_shown_up_to_where_a_call_may_begin_and_never_taken_back(pieces):
    whole, shown = "", 0
    for piece in pieces:
        whole += piece
        upto = may_begin_call(whole)
        assert upto <= len(whole)
        for marker in MARKERS:
            assert marker not in whole[:upto]
        if not whole.lstrip().startswith(("{", "[")):
            shown = max(shown, upto)
            assert may_begin_call(whole) >= min(shown, upto)


def request(tool_choice: str = "auto", **fields) -> ChatRequest:
    return ChatRequest((Message("user", "Hi"),), tools=(ADD, WEATHER), tool_choice=tool_choice, **fields)


def test_tool_choice_decides_which_tools_there_are():
    assert usable_tools(request("none")) == ()
    assert usable_tools(request("auto")) == (ADD, WEATHER)
    assert usable_tools(request("weather")) == (WEATHER,)
    with pytest.raises(UsageError, match="give auto, none, required or one of add, weather"):
        usable_tools(request("wether"))


def test_a_call_that_must_come_is_forced_and_one_that_may_is_held_once_it_begins():
    forced = resolve_rules(request("required"), (ADD,), native=True, hermes=False)
    assert forced.grammar
    assert not forced.trigger
    held = resolve_rules(request("auto"), (ADD,), native=True, hermes=True)
    assert held.trigger == "<tool_call>"
    own_format = resolve_rules(request("auto"), (ADD,), native=True, hermes=False)
    assert not own_format.grammar


def test_without_parallel_calls_the_grammar_ends_behind_one():
    assert "*" not in calls_grammar([ADD], parallel=False).splitlines()[0]
    assert "one-call)*" in calls_grammar([ADD], parallel=True).splitlines()[0]


def test_the_fallback_puts_tools_calls_and_results_into_text():
    messages = (
        Message("system", "Be brief."),
        Message("user", "1+1?"),
        Message("assistant", "", tool_calls=(ToolCall("x", "add", '{"a": 1}'),)),
        Message("tool", "2", tool_call_id="x"),
    )
    system, _, call, result = with_fallback(messages, [ADD])
    assert system.content.startswith("Be brief.\n\n")
    assert '"name": "add"' in system.content
    assert call.content == '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    assert (result.role, result.content) == ("user", "<tool_response>\n2\n</tool_response>")
