"""gRPC messages to requests and chunks to gRPC messages, for both services. Pure; knows nothing of servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from google.protobuf.message import DecodeError

from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.inference import ChatRequest, Message, ResponseFormat, SamplingParams, Tool, ToolCall
from the_edge_agent.runtime.daemon import Ask
from the_edge_agent.serving.exchange import parse_object
from the_edge_agent.serving.fields import check_schema_size

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "cancelled": "end_turn"}
ROLES = ("system", "user", "assistant", "tool")


def ask_of_infer(message: Any, *, depth: int, schema_bytes: int) -> Ask:
    """An InferRequest. Raises ActionParamsInvalid."""
    messages = [_message(entry) for entry in message.messages]
    if message.system_prompt:
        messages.insert(0, Message("system", message.system_prompt))
    if message.prompt or not message.messages:
        messages.append(Message("user", message.prompt))
    return _ask(message, tuple(messages), message.intelligence_level, depth, schema_bytes)


def ask_of_complete(message: Any, *, depth: int, schema_bytes: int) -> Ask:
    """A CompleteRequest. Raises ActionParamsInvalid."""
    messages = [_message(entry) for entry in message.messages]
    if message.system_prompt:
        messages.insert(0, Message("system", message.system_prompt))
    if not messages:
        raise ActionParamsInvalid("messages is empty", place="messages", fix="give at least one message")
    return _ask(message, tuple(messages), message.level, depth, schema_bytes)


def _ask(message: Any, messages: tuple[Message, ...], level: str, depth: int, schema_bytes: int) -> Ask:
    if level not in ("", "operational", "tactical", "strategic"):
        raise ActionParamsInvalid(
            f"the level is {level!r:.80}", fix="give operational, tactical or strategic"
        )
    if message.max_tokens < 0:
        raise ActionParamsInvalid(
            f"max_tokens is {message.max_tokens}", fix="give a number above 0, or 0 for no limit"
        )
    if not 0 <= message.deadline_s < 1e9:
        raise ActionParamsInvalid(f"deadline_s is {message.deadline_s}", fix="give seconds")
    format_ = ResponseFormat()
    if message.json_schema:
        format_ = ResponseFormat(
            "json_schema", _schema(message.json_schema, "json_schema", depth, schema_bytes)
        )
    request = ChatRequest(
        messages,
        SamplingParams(
            max_tokens=message.max_tokens or None,
            temperature=message.temperature,
            seed=message.seed % 2**32 or None,
            stop=tuple(message.stop),
        ),
        message.model,
        level=cast("Any", level or None),
        tools=tuple(
            Tool(
                tool.name, tool.description, _schema(tool.parameters or "{}", tool.name, depth, schema_bytes)
            )
            for tool in message.tools
        ),
        response_format=format_,
        deadline_s=message.deadline_s or None,
        privacy="may-leave" if message.may_leave else "local-only",
    )
    return Ask(request, message.priority, message.escalate)


def _message(entry: Any) -> Message:
    if entry.role not in ROLES:
        raise ActionParamsInvalid(
            f"a message's role is {entry.role!r:.80}", fix=f"give one of {', '.join(ROLES)}"
        )
    calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in entry.tool_calls)
    return Message(entry.role, entry.content, tool_calls=calls, tool_call_id=entry.tool_call_id)


def _schema(text: str, place: str, depth: int, schema_bytes: int) -> dict[str, Any]:
    try:
        schema = parse_object(text.encode("utf-8", "surrogatepass"), depth)
    except ActionParamsInvalid as error:
        raise ActionParamsInvalid(error.what, place=place, fix="give a JSON schema as text") from None
    check_schema_size(schema, schema_bytes, place)
    return schema


def one_line(text: str) -> str:
    """Error text as gRPC's status message carries it."""
    return json.dumps(text, ensure_ascii=True)[1:-1][:2000]


def reader_of(message: Any) -> Callable[[bytes], Any]:
    """Bytes as the message; None for bytes that are none. gRPC itself would log a traceback, key or no key."""

    def read(data: bytes) -> Any:
        try:
            return message.FromString(data)
        except DecodeError:
            return None

    return read


def readable(request: Any, message: Any) -> Any:
    """What ``reader_of`` read. Raises ActionParamsInvalid where that was nothing."""
    if request is None:
        raise ActionParamsInvalid(f"these bytes are no {message.DESCRIPTOR.name}", place="request")
    return request
