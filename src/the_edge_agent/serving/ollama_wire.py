"""Ollama's chat, generate and embed: bodies to requests, chunks to NDJSON lines. Pure."""

from __future__ import annotations

import json
import time
from typing import Any, cast

from the_edge_agent.errors import UnsupportedFeature
from the_edge_agent.inference import (
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    Message,
    ResponseFormat,
    SamplingParams,
    Tool,
    ToolCall,
    Usage,
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

NANOSECONDS = 1_000_000_000


def strip_tag(name: str) -> str:
    """Ollama's clients add ``:latest``; names here have no tags of their own."""
    return name.removesuffix(":latest")


def parse_chat(body: Body, schema_bytes: int = 256_000) -> tuple[Ask, bool]:
    """A body of /api/chat, and whether it wants a stream (Ollama's default). Raises ActionParamsInvalid."""
    messages = tuple(_parse_message(item, place) for place, item in enumerate(list_field(body, "messages")))
    tools = tuple(_parse_tool(item, schema_bytes) for item in list_field(body, "tools"))
    return _ask(body, messages, tools, schema_bytes), flag_field(body, "stream", default=True)


def parse_generate(body: Body, schema_bytes: int = 256_000) -> tuple[Ask, bool]:
    """A body of /api/generate. Raises ActionParamsInvalid, UnsupportedFeature."""
    for name in ("suffix", "raw", "template", "context"):
        if body.get(name):
            raise UnsupportedFeature(
                f"{name} is not supported", place=name, fix="leave it out, or use /api/chat"
            )
    images = tuple(decode_image(str(image), "images") for image in list_field(body, "images"))
    messages = (Message("user", text_field(body, "prompt"), images=images),)
    if system := text_field(body, "system"):
        messages = (Message("system", system), *messages)
    return _ask(body, messages, (), schema_bytes), flag_field(body, "stream", default=True)


def parse_embed(body: Body) -> EmbedRequest:
    """A body of /api/embed, or of the older /api/embeddings. Raises ActionParamsInvalid."""
    texts = texts_field(body, "input") or texts_field(body, "prompt")
    if not texts:
        raise wrong("input", body.get("input"), "give a string or a list of strings")
    return EmbedRequest(texts, strip_tag(text_field(body, "model")))


def _ask(body: Body, messages: tuple[Message, ...], tools: tuple[Tool, ...], schema_bytes: int) -> Ask:
    options = object_field(body, "options")
    limit = whole_field(options, "num_predict")
    sampling = SamplingParams(
        max_tokens=None if limit is None or limit < 0 else limit,
        temperature=number_field(options, "temperature", 0.0),
        top_p=number_field(options, "top_p", 1.0),
        top_k=whole_field(options, "top_k") or 0,
        min_p=number_field(options, "min_p", 0.0),
        seed=seed_field(options),
        stop=texts_field(options, "stop"),
        repeat_penalty=number_field(options, "repeat_penalty", 1.0),
        frequency_penalty=number_field(options, "frequency_penalty", 0.0),
        presence_penalty=number_field(options, "presence_penalty", 0.0),
    )
    request = ChatRequest(
        messages,
        sampling,
        strip_tag(text_field(body, "model")),
        tools=tools,
        response_format=_parse_format(body.get("format"), schema_bytes),
    )
    return Ask(request)


def _parse_format(value: Any, schema_bytes: int) -> ResponseFormat:
    if value in (None, ""):
        return ResponseFormat()
    if value == "json":
        return ResponseFormat("json_object")
    if isinstance(value, dict):
        check_schema_size(value, schema_bytes, "format")
        return ResponseFormat("json_schema", cast("dict[str, Any]", value))
    raise wrong("format", value, 'give "json" or a JSON schema')


def _parse_message(item: Any, place: int) -> Message:
    if not isinstance(item, dict):
        raise wrong(f"messages[{place}]", item, "give an object with role and content")
    tree = cast("dict[str, Any]", item)
    role = text_field(tree, "role")
    if role not in ("system", "user", "assistant", "tool"):
        raise wrong(f"messages[{place}].role", role, "give system, user, assistant or tool")
    calls = [
        object_field(cast("dict[str, Any]", call), "function") for call in list_field(tree, "tool_calls")
    ]
    return Message(
        cast("Any", role),
        text_field(tree, "content"),
        images=tuple(
            decode_image(str(image), f"messages[{place}].images") for image in list_field(tree, "images")
        ),
        tool_calls=tuple(
            ToolCall(f"call_{i}", text_field(call, "name"), json.dumps(call.get("arguments", {})))
            for i, call in enumerate(calls)
        ),
        name=text_field(tree, "tool_name") or text_field(tree, "name"),
    )


def _parse_tool(item: Any, schema_bytes: int) -> Tool:
    if not isinstance(item, dict):
        raise wrong("tools", item, "give objects")
    function = object_field(cast("dict[str, Any]", item), "function")
    parameters = object_field(function, "parameters") or {"type": "object", "properties": {}}
    check_schema_size(parameters, schema_bytes, "tools.function.parameters")
    return Tool(text_field(function, "name"), text_field(function, "description"), parameters)


class LineWriter:
    """Chunks of one answer as NDJSON lines of /api/chat (``chat``) or /api/generate."""

    def __init__(self, model: str, *, chat: bool, started_s: float) -> None:
        self._model = model
        self._chat = chat
        self._started_s = started_s

    def line(self, chunk: CompletionChunk) -> bytes:
        """One line; the last chunk's has ``done`` and the figures."""
        tree = self.tree(chunk)
        return (json.dumps(tree, separators=(",", ":")) + "\n").encode()

    def tree(self, chunk: CompletionChunk) -> dict[str, Any]:
        """The line's object."""
        tree: dict[str, Any] = {"model": self._model, "created_at": rfc3339(time.time())}
        if self._chat:
            message: dict[str, Any] = {"role": "assistant", "content": chunk.text}
            if chunk.tool_calls:
                message["tool_calls"] = [
                    {"function": {"name": call.name, "arguments": _arguments(call.arguments)}}
                    for call in chunk.tool_calls
                ]
            tree["message"] = message
        else:
            tree["response"] = chunk.text
        tree["done"] = chunk.finish_reason is not None
        if chunk.finish_reason is not None:
            tree |= self._figures(chunk)
        return tree

    def _figures(self, chunk: CompletionChunk) -> dict[str, Any]:
        usage, timings = chunk.usage or Usage(), chunk.timings
        return {
            "done_reason": "length" if chunk.finish_reason == "length" else "stop",
            "total_duration": int((time.monotonic() - self._started_s) * NANOSECONDS),
            "load_duration": 0,
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": int(timings.prefill_s * NANOSECONDS) if timings else 0,
            "eval_count": usage.completion_tokens,
            "eval_duration": int(timings.decode_s * NANOSECONDS) if timings else 0,
        }


def embed_tree(embeddings: Embeddings, model: str, *, legacy: bool) -> dict[str, Any]:
    """The answer of /api/embed, or of /api/embeddings."""
    if legacy:
        return {"embedding": list(embeddings.vectors[0])}
    return {
        "model": model,
        "embeddings": [list(vector) for vector in embeddings.vectors],
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": embeddings.usage.prompt_tokens,
    }


def rfc3339(epoch_s: float) -> str:
    """``2026-11-21T10:00:00.123456Z``."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))
    return f"{whole}.{int(epoch_s % 1 * 1e6):06d}Z"


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"_raw": text}
