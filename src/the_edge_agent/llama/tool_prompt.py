"""Tools for models whose template has no place for them, and grammars that keep calls to the tools there are.

The fallback says in the system message what templates of the Hermes family say. Pure; knows nothing of sampling.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from the_edge_agent.errors import UsageError
from the_edge_agent.inference import ChatRequest, Message, Tool

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_FALLBACK = (
    "You may call these functions, one JSON object a line:\n{tools}\n"
    'To call one, answer with <tool_call>{{"name": NAME, "arguments": OBJECT}}</tool_call> and nothing else. '
    "If none helps, answer in plain text."
)


@dataclass(frozen=True, slots=True)
class ToolRules:
    """What binds the model: a grammar, from ``trigger`` on where one is given (else from the first token)."""

    grammar: str = ""
    trigger: str = ""


def usable_tools(request: ChatRequest) -> tuple[Tool, ...]:
    """The tools that this request lets the model call. Raises UsageError for an unknown ``tool_choice``."""
    choice = request.tool_choice
    if choice == "none" or not request.tools:
        return ()
    if choice in ("auto", "required"):
        return request.tools
    chosen = tuple(tool for tool in request.tools if tool.name == choice)
    if not chosen:
        names = ", ".join(tool.name for tool in request.tools)
        raise UsageError(f"tool_choice is {choice!r}", fix=f"give auto, none, required or one of {names}")
    return chosen


def resolve_rules(request: ChatRequest, tools: Sequence[Tool], *, native: bool, hermes: bool) -> ToolRules:
    """How strictly calls are held. ``native``: the template presents tools itself; ``hermes``: in our own format.

    A call that must come is forced by the grammar. Where the format is ours the grammar binds as soon as a call begins.
    A model with a format of its own is left free: what it writes is parsed, and checked by whoever runs the tools.
    """
    if not tools:
        return ToolRules()
    if request.tool_choice != "auto":
        return ToolRules(calls_grammar(tools, parallel=request.parallel_tool_calls))
    if hermes or not native:
        return ToolRules(calls_grammar(tools, parallel=request.parallel_tool_calls), OPEN)
    return ToolRules()


def calls_grammar(tools: Sequence[Tool], *, parallel: bool) -> str:
    """GBNF for one or more calls of these tools with valid arguments. Raises SchemaUnsupported."""
    from the_edge_agent.inference.json_schema import (
        rebased,  # read when tools are used, not at every start
        schema_to_gbnf,
    )

    document: dict[str, Any] = {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "name": {"const": tool.name},
                    "arguments": rebased(tool.parameters, f"#/anyOf/{index}/properties/arguments"),
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for index, tool in enumerate(tools)
        ]
    }
    rules = schema_to_gbnf(document)
    assert rules.startswith("root ::="), rules[:40]
    more = r' ("\n"? one-call)*' if parallel else ""
    return f'root ::= one-call{more}\none-call ::= "{OPEN}" "\\n"? call-object "\\n"? "{CLOSE}"\ncall-object{rules[4:]}'


def with_fallback(messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The conversation with the tools in its system message, calls and results as text."""
    text = _FALLBACK.format(
        tools="\n".join(json.dumps(describe(tool)["function"], ensure_ascii=False) for tool in tools)
    )
    rest = [_as_text(message) for message in messages]
    if rest and rest[0].role == "system":
        return (Message("system", f"{rest[0].content}\n\n{text}"), *rest[1:])
    return (Message("system", text), *rest)


def describe(tool: Tool) -> dict[str, Any]:
    """OpenAI's shape, which templates expect."""
    function = {"name": tool.name, "description": tool.description, "parameters": _plain(tool.parameters)}
    return {"type": "function", "function": function}


def _as_text(message: Message) -> Message:
    if message.role == "tool":
        return Message("user", f"<tool_response>\n{message.content}\n</tool_response>", images=message.images)
    if message.tool_calls:
        calls = "\n".join(
            f'{OPEN}{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}{CLOSE}'
            for call in message.tool_calls
        )
        return Message("assistant", f"{message.content}\n{calls}" if message.content else calls)
    return message


def _plain(value: Any) -> Any:
    """Mappings and sequences as dicts and lists, which JSON and Jinja know."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return {key: _plain(entry) for key, entry in mapping.items()}
    if isinstance(value, (list, tuple)):
        entries = cast("Sequence[Any]", value)
        return [_plain(entry) for entry in entries]
    return value
