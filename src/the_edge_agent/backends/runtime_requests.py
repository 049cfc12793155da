"""Requests as plain JSON values and back: what the daemon, its workers and its clients ask each other.

Reading is strict: only the fields listed here exist, each of its own type, and values pass the same checks as in process
(``SamplingParams``). It knows nothing of sockets, frames or HTTP.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from the_edge_agent.backends.runtime_fields import (
    FieldReader,
    Json,
    parse_tool_call,
    plain_json,
    tool_call_to_json,
)
from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.inference import (
    ChatRequest,
    EmbedRequest,
    ImagePart,
    Message,
    ResponseFormat,
    SamplingParams,
    Tool,
)

_SAMPLING_DEFAULTS = SamplingParams()


def chat_request_to_json(request: ChatRequest) -> Json:
    """Every field that differs from its default."""
    tree: Json = {"messages": [_message_to_json(message) for message in request.messages]}
    sampling = {
        entry.name: value
        for entry in fields(SamplingParams)
        if (value := getattr(request.sampling, entry.name)) != getattr(_SAMPLING_DEFAULTS, entry.name)
    }
    if sampling:
        tree["sampling"] = sampling
    if request.model:
        tree["model"] = request.model
    if request.level is not None:
        tree["level"] = request.level
    if request.tools:
        tree["tools"] = [
            {"name": tool.name, "description": tool.description, "parameters": plain_json(tool.parameters)}
            for tool in request.tools
        ]
        tree["tool_choice"] = request.tool_choice
        tree["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format.type != "text":
        tree["response_format"] = {
            "type": request.response_format.type,
            "schema": plain_json(request.response_format.schema),
            "name": request.response_format.name,
        }
    if request.deadline_s is not None:
        tree["deadline_s"] = request.deadline_s
    if request.privacy != "local-only":
        tree["privacy"] = request.privacy
    if request.resume_token_ids:
        tree["resume_token_ids"] = list(request.resume_token_ids)
    return tree


def parse_chat_request(tree: object) -> ChatRequest:
    """The request. Raises ActionParamsInvalid, naming the field."""
    reader = FieldReader(tree, "request")
    request = ChatRequest(
        messages=tuple(_parse_message(item, i) for i, item in enumerate(reader.list_("messages"))),
        sampling=_parse_sampling(reader.get("sampling", {})),
        model=reader.text("model"),
        level=reader.choice("level", (None, "operational", "tactical", "strategic"), None),
        tools=tuple(_parse_tool(item, i) for i, item in enumerate(reader.list_("tools"))),
        tool_choice=reader.text("tool_choice", "auto"),
        parallel_tool_calls=reader.flag("parallel_tool_calls", default=True),
        response_format=_parse_response_format(reader.get("response_format", {})),
        deadline_s=reader.number_or_none("deadline_s"),
        privacy=reader.choice("privacy", ("local-only", "may-leave"), "local-only"),
        resume_token_ids=_parse_token_ids(reader.list_("resume_token_ids")),
    )
    reader.done()
    return request


def embed_request_to_json(request: EmbedRequest) -> Json:
    """Every field."""
    return {"texts": list(request.texts), "model": request.model, "deadline_s": request.deadline_s}


def parse_embed_request(tree: object) -> EmbedRequest:
    """The request. Raises ActionParamsInvalid, naming the field."""
    reader = FieldReader(tree, "request")
    texts = reader.list_("texts")
    if not all(isinstance(text, str) for text in texts):
        raise reader.wrong("texts", "give a list of strings")
    request = EmbedRequest(
        tuple(cast("list[str]", texts)), reader.text("model"), reader.number_or_none("deadline_s")
    )
    reader.done()
    return request


def _message_to_json(message: Message) -> Json:
    tree: Json = {"role": message.role, "content": message.content}
    if message.images:
        tree["images"] = [
            [base64.b64encode(image.data).decode(), image.mime_type] for image in message.images
        ]
    if message.tool_calls:
        tree["tool_calls"] = [tool_call_to_json(call) for call in message.tool_calls]
    if message.tool_call_id:
        tree["tool_call_id"] = message.tool_call_id
    if message.name:
        tree["name"] = message.name
    return tree


def _parse_message(tree: object, index: int) -> Message:
    reader = FieldReader(tree, f"request.messages[{index}]")
    try:
        images = tuple(
            ImagePart(base64.b64decode(data, validate=True), mime) for data, mime in reader.list_("images")
        )
        calls = tuple(parse_tool_call(call) for call in reader.list_("tool_calls"))
    except (TypeError, ValueError, KeyError) as error:
        raise reader.wrong("images or tool_calls", f"they have the wrong shape: {error}") from None
    message = Message(
        role=reader.choice("role", ("system", "user", "assistant", "tool"), "user"),
        content=reader.text("content"),
        images=images,
        tool_calls=calls,
        tool_call_id=reader.text("tool_call_id"),
        name=reader.text("name"),
    )
    reader.done()
    return message


def _parse_sampling(tree: object) -> SamplingParams:
    reader = FieldReader(tree, "request.sampling")
    values: Json = {}
    for entry in fields(SamplingParams):
        if entry.name not in reader.tree:
            continue
        value = reader.get(entry.name, None)
        if entry.name == "stop":
            if not (
                isinstance(value, list) and all(isinstance(text, str) for text in cast("list[object]", value))
            ):
                raise reader.wrong("stop", "give a list of strings")
            values["stop"] = tuple(cast("list[str]", value))
        elif entry.name == "ignore_eos":
            if not isinstance(value, bool):
                raise reader.wrong(entry.name, "give true or false")
            values[entry.name] = value
        elif (isinstance(value, int | float) and not isinstance(value, bool)) or (
            value is None and getattr(_SAMPLING_DEFAULTS, entry.name) is None
        ):
            values[entry.name] = value
        else:
            raise reader.wrong(entry.name, "give a number")
    whole = ("max_tokens", "top_k", "seed", "logprobs")
    for name in whole:
        if isinstance(values.get(name), float):
            raise reader.wrong(name, "give a whole number")
    reader.done()
    return SamplingParams(**values)


def _parse_tool(tree: object, index: int) -> Tool:
    reader = FieldReader(tree, f"request.tools[{index}]")
    tool = Tool(reader.text("name"), reader.text("description"), reader.mapping("parameters"))
    reader.done()
    return tool


def _parse_response_format(tree: object) -> ResponseFormat:
    reader = FieldReader(tree, "request.response_format")
    kind = reader.choice("type", ("text", "json_object", "json_schema"), "text")
    schema = reader.get("schema", None)
    if schema is not None and not isinstance(schema, Mapping):
        raise reader.wrong("schema", "give an object")
    format_ = ResponseFormat(kind, cast("Mapping[str, Any] | None", schema), reader.text("name", "output"))
    reader.done()
    return format_


def _parse_token_ids(items: list[Any]) -> tuple[int, ...]:
    if not all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 2**31 for item in items):
        raise ActionParamsInvalid("resume_token_ids must be token ids", place="request")
    return tuple(items)
