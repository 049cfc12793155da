"""Turns what a file writes under ``messages``, ``prompt`` and ``system`` into Messages, and back; pure.

Values that come out of templates need not be text: lists and objects become JSON text, numbers and booleans their
JSON form. Model output is data: nothing here is ever rendered as a template. Knows nothing of backends.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.inference import ImagePart, JsonObject, JsonValue, Message, Role, Tool, ToolCall
from the_edge_agent.inference.json_value import is_array, is_object

ROLES: tuple[str, ...] = get_args(Role)
_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}, "additionalProperties": False}
_MESSAGE_KEYS = frozenset({"role", "content", "tool_calls", "tool_call_id", "name"})


def parse_conversation(params: JsonObject) -> tuple[Message, ...]:
    """``system``, then ``messages``, then ``prompt`` as the last user turn.

    Raises:
        ActionParamsInvalid: nothing is asked, or a message has the wrong shape; names the message.
    """
    messages: list[Message] = []
    if params.get("system") is not None:
        messages.append(Message("system", text_of(params["system"], "system")))
    listed = params.get("messages")
    if listed is not None:
        messages.extend(parse_messages(listed))
    if params.get("prompt") is not None:
        messages.append(Message("user", text_of(params["prompt"], "prompt")))
    if not any(message.role != "system" for message in messages):
        raise ActionParamsInvalid(
            "there is nothing to ask", fix="give a prompt, or messages with a user turn"
        )
    return tuple(messages)


def parse_messages(listed: JsonValue, place: str = "messages") -> tuple[Message, ...]:
    """A list of {role, content, ...} as Messages. Raises ActionParamsInvalid naming the entry."""
    if not is_array(listed):
        raise ActionParamsInvalid(f"{place} is no list", fix="give a list of {role, content}")
    return tuple(_message(entry, f"{place}[{index}]") for index, entry in enumerate(listed))


def message_json(message: Message) -> dict[str, Any]:
    """A Message as a file would write it; ``parse_messages`` reads it back (without images)."""
    value: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        value["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls
        ]
    if message.tool_call_id:
        value["tool_call_id"] = message.tool_call_id
    if message.name:
        value["name"] = message.name
    return value


def text_of(value: JsonValue, place: str) -> str:
    """A value as text for a model: text as it is, everything else as JSON. Raises ActionParamsInvalid for no JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionParamsInvalid(
            f"{place} can't be written as text: {error}", fix="give text or a JSON value"
        ) from None


def parse_tools(listed: JsonValue, place: str = "tools") -> tuple[Tool, ...]:
    """Tool definitions: {name, description, parameters}, bare or inside OpenAI's {type: function, function: {...}}.

    Raises:
        ActionParamsInvalid: a definition of the wrong shape, or one name twice.
    """
    if not is_array(listed):
        raise ActionParamsInvalid(f"{place} is no list", fix="give a list of {name, description, parameters}")
    tools = tuple(parse_tool(entry, f"{place}[{index}]") for index, entry in enumerate(listed))
    names = [tool.name for tool in tools]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ActionParamsInvalid(
            f"{place} names {', '.join(sorted(twice))} twice", fix="give each tool its own name"
        )
    return tools


def parse_tool(entry: JsonValue, place: str) -> Tool:
    """One definition. Without parameters the tool takes none."""
    if is_object(entry) and entry.get("type") == "function" and is_object(entry.get("function")):
        entry = cast("JsonObject", entry["function"])
    if not is_object(entry):
        raise ActionParamsInvalid(f"{place} is no object", fix="write {name, description, parameters}")
    name = entry.get("name")
    if (
        not isinstance(name, str)
        or not name
        or len(name) > 64
        or not all(c.isalnum() or c in "_-." for c in name)
    ):
        raise ActionParamsInvalid(
            f"{place}: the name {name!r} is no tool name",
            fix="use up to 64 letters, digits, '_', '-' and '.'",
        )
    parameters = entry.get("parameters")
    if parameters is None:
        parameters = _NO_PARAMETERS
    if not is_object(parameters) or parameters.get("type", "object") != "object":
        raise ActionParamsInvalid(
            f"{place}: parameters is no JSON schema of type object", fix="write {type: object, properties}"
        )
    return Tool(name, text_of(entry.get("description") or "", f"{place}.description"), parameters)


def _message(entry: JsonValue, place: str) -> Message:
    if not is_object(entry):
        raise ActionParamsInvalid(f"{place} is no object", fix="write {role, content}")
    unknown = sorted(set(entry) - _MESSAGE_KEYS)
    if unknown:
        raise ActionParamsInvalid(
            f"{place} has no key {unknown[0]!r}", fix=f"allowed: {', '.join(sorted(_MESSAGE_KEYS))}"
        )
    role = entry.get("role")
    if role not in ROLES:
        raise ActionParamsInvalid(f"{place}: the role is {role!r}", fix=f"choose one of {', '.join(ROLES)}")
    calls = entry.get("tool_calls")
    if calls and role != "assistant":
        raise ActionParamsInvalid(
            f"{place}: tool_calls on a {role} turn", fix="they belong to assistant turns"
        )
    content = entry.get("content")
    if content is None and not calls:
        raise ActionParamsInvalid(f"{place} has no content", fix="give it text")
    text, images = _content(content, place)
    return Message(
        role=cast("Role", role),
        content=text,
        images=images,
        tool_calls=_tool_calls(calls, place) if calls else (),
        tool_call_id=text_of(entry.get("tool_call_id") or "", place),
        name=text_of(entry.get("name") or "", place),
    )


def _content(content: JsonValue, place: str) -> tuple[str, tuple[ImagePart, ...]]:
    """Text; or OpenAI's parts, of which text is joined and images (data URLs only) are kept apart."""
    if content is None:
        return "", ()
    if not (is_array(content) and content and all(is_object(p) and "type" in p for p in content)):
        return text_of(content, f"{place}.content"), ()
    texts: list[str] = []
    images: list[ImagePart] = []
    for part in cast("Sequence[Mapping[str, Any]]", content):
        if part["type"] == "text":
            texts.append(text_of(part.get("text", ""), f"{place}.content"))
        elif part["type"] == "image_url":
            url = part.get("image_url")
            images.append(_image(url.get("url") if is_object(url) else url, place))
        else:
            return text_of(content, f"{place}.content"), ()  # an ordinary list of objects that have a "type"
    return "\n".join(texts), tuple(images)


def _image(url: Any, place: str) -> ImagePart:
    head, comma, data = str(url).partition(",")
    if not head.startswith("data:") or not head.endswith(";base64") or not comma:
        raise ActionParamsInvalid(
            f"{place}: an image must stand in a data URL", fix="write data:image/png;base64,..."
        )
    try:
        return ImagePart(base64.b64decode(data, validate=True), head[5:-7] or "image/png")
    except binascii.Error:
        raise ActionParamsInvalid(f"{place}: the image isn't base64", fix="encode the file's bytes") from None


def _tool_calls(calls: JsonValue, place: str) -> tuple[ToolCall, ...]:
    if not is_array(calls):
        raise ActionParamsInvalid(
            f"{place}: tool_calls is no list", fix="give a list of {id, name, arguments}"
        )
    found: list[ToolCall] = []
    for index, call in enumerate(calls):
        inner = call.get("function", call) if is_object(call) else None
        if not is_object(call) or not is_object(inner) or not isinstance(inner.get("name"), str):
            raise ActionParamsInvalid(
                f"{place}: tool_calls[{index}] has no name", fix="write {id, name, arguments}"
            )
        arguments = text_of(inner.get("arguments") or {}, place)
        found.append(ToolCall(str(call.get("id") or f"call_{index}"), str(inner["name"]), arguments))
    return tuple(found)


def _plain(value: object) -> object:
    """Read-only views of state values as the JSON encoder wants them."""
    if is_object(value):
        return dict(value)
    if is_array(value):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
