"""OpenAI's chat completions, completions and embeddings: bodies to requests. Pure.

Fields that would change the answer and aren't supported are refused by name; fields that only label a request are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from the_edge_agent.errors import UnsupportedFeature
from the_edge_agent.inference import (
    ChatRequest,
    EmbedRequest,
    Message,
    ResponseFormat,
    SamplingParams,
    Tool,
    ToolCall,
)
from the_edge_agent.runtime.daemon import Ask
from the_edge_agent.serving.fields import (
    Body,
    check_schema_size,
    decode_image,
    flag_field,
    list_field,
    number_field,
    object_field,
    seed_field,
    text_field,
    texts_field,
    whole_field,
    wrong,
)

#: What changes the answer and is not done, with the values that mean "leave it".
REFUSED: Mapping[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "logit_bias": (None, {}),
    "functions": (None, []),
    "audio": (None,),
    "suffix": (None, ""),
    "echo": (None, False),
}
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A parsed body. ``wants_usage``: the stream's last event carries the usage."""

    ask: Ask
    stream: bool
    wants_usage: bool


def parse_chat(body: Body, schema_bytes: int = 256_000) -> ChatCall:
    """A chat completion's body. Raises ActionParamsInvalid, UnsupportedFeature."""
    refuse_unsupported(body)
    logprobs = None
    if flag_field(body, "logprobs"):
        logprobs = whole_field(body, "top_logprobs") or 0
    messages = tuple(_parse_message(item, place) for place, item in enumerate(list_field(body, "messages")))
    if not messages:
        raise wrong("messages", body.get("messages"), "give at least one message")
    tools = tuple(
        _parse_tool(item, place, schema_bytes) for place, item in enumerate(list_field(body, "tools"))
    )
    request = ChatRequest(
        messages=messages,
        sampling=parse_sampling(body, logprobs),
        model=text_field(body, "model"),
        level=_parse_level(body),
        tools=tools,
        tool_choice=_parse_tool_choice(body.get("tool_choice"), tools),
        parallel_tool_calls=flag_field(body, "parallel_tool_calls", default=True),
        response_format=_parse_response_format(object_field(body, "response_format"), schema_bytes),
        deadline_s=_parse_deadline(body),
        privacy="may-leave" if text_field(body, "privacy") == "may-leave" else "local-only",
    )
    options = object_field(body, "stream_options")
    return ChatCall(
        _parse_ask(body, request), flag_field(body, "stream"), flag_field(options, "include_usage")
    )


def parse_completion(body: Body) -> ChatCall:
    """A text completion's body: the prompt becomes one user message of the model's chat template."""
    refuse_unsupported(body)
    prompts = texts_field(body, "prompt")
    if len(prompts) != 1:
        raise wrong("prompt", body.get("prompt"), "give one string; send several prompts as several requests")
    request = ChatRequest(
        (Message("user", prompts[0]),),
        parse_sampling(body, whole_field(body, "logprobs")),
        text_field(body, "model"),
        deadline_s=_parse_deadline(body),
    )
    options = object_field(body, "stream_options")
    return ChatCall(
        _parse_ask(body, request), flag_field(body, "stream"), flag_field(options, "include_usage")
    )


def parse_embeddings(body: Body) -> tuple[EmbedRequest, bool]:
    """An embeddings body, and whether vectors are wanted as base64."""
    if body.get("dimensions") is not None:
        raise UnsupportedFeature("embeddings can't be cut to other dimensions", place="dimensions")
    texts = texts_field(body, "input")
    if not texts:
        raise wrong(
            "input", body.get("input"), "give a string or a list of strings (token ids are not taken)"
        )
    encoding = text_field(body, "encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise wrong("encoding_format", encoding, "give float or base64")
    return EmbedRequest(texts, text_field(body, "model"), _parse_deadline(body)), encoding == "base64"


def refuse_unsupported(body: Body) -> None:
    """Refuse what would change the answer and isn't done. Raises UnsupportedFeature."""
    for name, harmless in REFUSED.items():
        if body.get(name) not in harmless:
            raise UnsupportedFeature(f"{name} is not supported", place=name, fix="leave it out")
    if any(item != "text" for item in list_field(body, "modalities")):
        raise UnsupportedFeature("only text comes out", place="modalities", fix="leave it out")


def parse_sampling(body: Body, logprobs: int | None) -> SamplingParams:
    """Sampling by OpenAI's and llama.cpp's names. Raises ActionParamsInvalid."""
    limit = whole_field(body, "max_completion_tokens")
    return SamplingParams(
        max_tokens=limit if limit is not None else whole_field(body, "max_tokens"),
        temperature=number_field(body, "temperature", 0.0),
        top_p=number_field(body, "top_p", 1.0),
        top_k=whole_field(body, "top_k") or 0,
        min_p=number_field(body, "min_p", 0.0),
        seed=seed_field(body),
        stop=texts_field(body, "stop"),
        repeat_penalty=number_field(body, "repeat_penalty", 1.0),
        frequency_penalty=number_field(body, "frequency_penalty", 0.0),
        presence_penalty=number_field(body, "presence_penalty", 0.0),
        logprobs=logprobs,
        ignore_eos=flag_field(body, "ignore_eos"),
    )


def _parse_ask(body: Body, request: ChatRequest) -> Ask:
    priority = whole_field(body, "priority") or 0
    if abs(priority) > 1000:
        raise wrong("priority", priority, "give a number from -1000 (first) to 1000 (last)")
    return Ask(request, priority, flag_field(body, "escalate"), texts_field(body, "must_contain"))


def _parse_level(body: Body) -> Any:
    level = text_field(body, "level") or None
    if level not in (None, "operational", "tactical", "strategic"):
        raise wrong("level", level, "give operational, tactical or strategic")
    return level


def _parse_deadline(body: Body) -> float | None:
    deadline_s = number_field(body, "deadline_s", 0.0)
    if deadline_s < 0:
        raise wrong("deadline_s", deadline_s, "give seconds above 0")
    return deadline_s or None


def _parse_message(item: Any, place: int) -> Message:
    name = f"messages[{place}]"
    if not isinstance(item, dict):
        raise wrong(name, item, "give an object with role and content")
    message = cast("dict[str, Any]", item)
    role = ROLES.get(text_field(message, "role"))
    if role is None:
        raise wrong(f"{name}.role", message.get("role"), f"give one of {', '.join(ROLES)}")
    content, images = _parse_content(message.get("content"), name)
    return Message(
        cast("Any", role),
        content,
        images=images,
        tool_calls=tuple(_parse_tool_call(call, name) for call in list_field(message, "tool_calls")),
        tool_call_id=text_field(message, "tool_call_id"),
        name=text_field(message, "name"),
    )


def _parse_content(content: Any, name: str) -> tuple[str, tuple[Any, ...]]:
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        raise wrong(f"{name}.content", content, "give a string or a list of parts")
    texts: list[str] = []
    images: list[Any] = []
    for part in cast("list[Any]", content):
        if not isinstance(part, dict):
            raise wrong(f"{name}.content", part, "give parts as objects")
        kind = cast("dict[str, Any]", part).get("type")
        if kind in ("text", "input_text", "output_text"):
            texts.append(text_field(cast("Body", part), "text"))
        elif kind == "image_url":
            images.append(
                decode_image(
                    text_field(object_field(cast("Body", part), "image_url"), "url"), f"{name}.content"
                )
            )
        else:
            raise UnsupportedFeature(f"content parts of type {kind!r} are not taken", place=f"{name}.content")
    return "".join(texts), tuple(images)


def _parse_tool_call(call: Any, name: str) -> ToolCall:
    if not isinstance(call, dict):
        raise wrong(f"{name}.tool_calls", call, "give objects")
    tree = cast("dict[str, Any]", call)
    function = object_field(tree, "function")
    return ToolCall(
        text_field(tree, "id"), text_field(function, "name"), text_field(function, "arguments", "{}")
    )


def _parse_tool(item: Any, place: int, schema_bytes: int) -> Tool:
    name = f"tools[{place}]"
    if not isinstance(item, dict) or cast("dict[str, Any]", item).get("type", "function") != "function":
        raise wrong(name, item, 'give {"type": "function", "function": {...}}')
    tree = cast("dict[str, Any]", item)
    function = object_field(tree, "function") or tree
    if not text_field(function, "name"):
        raise wrong(f"{name}.function.name", function.get("name"), "name the function")
    parameters = object_field(function, "parameters") or {"type": "object", "properties": {}}
    check_schema_size(parameters, schema_bytes, f"{name}.function.parameters")
    return Tool(text_field(function, "name"), text_field(function, "description"), parameters)


def _parse_tool_choice(choice: Any, tools: tuple[Tool, ...]) -> str:
    if choice is None:
        return "auto"
    if isinstance(choice, dict):
        tree = cast("dict[str, Any]", choice)
        choice = text_field(object_field(tree, "function"), "name") or text_field(tree, "name")
        if choice not in {tool.name for tool in tools}:
            raise wrong("tool_choice", choice, "name one of the tools")
        return cast("str", choice)
    if choice not in ("auto", "none", "required"):
        raise wrong("tool_choice", choice, "give auto, none, required or a function")
    return cast("str", choice)


def _parse_response_format(tree: Body, schema_bytes: int) -> ResponseFormat:
    kind = text_field(tree, "type", "text")
    if kind in ("text", "json_object") and "schema" not in tree:
        return ResponseFormat(cast("Any", kind))
    if kind not in ("json_schema", "json_object"):
        raise wrong("response_format.type", kind, "give text, json_object or json_schema")
    wrapper = (
        object_field(tree, "json_schema") or tree
    )  # llama.cpp takes {"type": "json_object", "schema": ...}
    if not isinstance(wrapper.get("schema"), dict):
        raise wrong("response_format.json_schema.schema", wrapper.get("schema"), "give a JSON schema")
    check_schema_size(wrapper["schema"], schema_bytes, "response_format.json_schema.schema")
    return ResponseFormat("json_schema", wrapper["schema"], text_field(wrapper, "name", "output"))
