"""OpenAI's chat and embedding wire format, both ways; pure. Knows nothing of HTTP, keys or retries."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from the_edge_agent.errors import BackendError, BackendUnavailable
from the_edge_agent.inference import (
    ChatRequest,
    CompletionChunk,
    EmbedRequest,
    FinishReason,
    Message,
    TokenLogprob,
    ToolCall,
    Usage,
)

MAX_TOOL_CALLS = 256
_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


def chat_body(request: ChatRequest, *, model: str, limit_name: str = "max_tokens") -> dict[str, Any]:
    """The JSON of a streaming chat completion. What is at its default isn't sent: not every server knows it all."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": sampling.temperature,
    }
    optional: dict[str, tuple[Any, Any]] = {
        "model": (model, ""),
        limit_name: (sampling.max_tokens, None),
        "top_p": (sampling.top_p, 1.0),
        "top_k": (sampling.top_k, 0),
        "min_p": (sampling.min_p, 0.0),
        "seed": (sampling.seed, None),
        "stop": (list(sampling.stop), []),
        "repeat_penalty": (sampling.repeat_penalty, 1.0),
        "frequency_penalty": (sampling.frequency_penalty, 0.0),
        "presence_penalty": (sampling.presence_penalty, 0.0),
        "ignore_eos": (sampling.ignore_eos, False),
    }
    body |= {name: value for name, (value, default) in optional.items() if value != default}
    if sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in request.tools
        ]
        choice = request.tool_choice
        named = choice not in ("auto", "none", "required")
        body["tool_choice"] = {"type": "function", "function": {"name": choice}} if named else choice
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    wanted = request.response_format
    if wanted.type == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif wanted.type == "json_schema":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": wanted.name, "schema": wanted.schema},
        }
    return body


def embed_body(request: EmbedRequest, *, model: str) -> dict[str, Any]:
    """The JSON of an embedding request."""
    body: dict[str, Any] = {"input": list(request.texts), "encoding_format": "float"}
    return body | ({"model": model} if model else {})


def parse_embeddings(value: Any, count: int) -> tuple[tuple[float, ...], ...]:
    """Vectors in the request's order. Raises BackendError for anything but ``count`` vectors of one length."""
    rows = value.get("data") if is_object(value) else None
    if not is_list(rows) or len(rows) != count or not all(is_object(row) for row in rows):
        raise BackendError("the API's answer holds no list of vectors for these texts")
    ordered = sorted(rows, key=lambda row: row["index"] if isinstance(row.get("index"), int) else 0)
    vectors: list[tuple[float, ...]] = []
    for row in ordered:
        vector = row.get("embedding")
        if not is_list(vector) or not all(_is_finite(number) for number in vector):
            raise BackendError("the API's answer holds a vector that isn't made of numbers")
        vectors.append(tuple(float(number) for number in vector))
    if len({len(vector) for vector in vectors}) > 1:
        raise BackendError("the API's vectors differ in length")
    return tuple(vectors)


@dataclass(slots=True)
class ChatReader:
    """Puts a streamed answer together. ``feed`` events, then ``last`` gives the closing chunk."""

    model: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    """By index: id, name, arguments so far."""
    reason: str | None = None
    usage: Usage | None = None

    def feed(self, event: Any) -> CompletionChunk | None:
        """One decoded event; the chunk it adds, if it adds text. Raises BackendError for what is no chunk."""
        if not is_object(event):
            raise BackendError("the API streamed something that is no object")
        if is_object(event.get("usage")):
            self.usage = parse_usage(event)
        if isinstance(event.get("model"), str):
            self.model = event["model"]
        choices = event.get("choices")
        if not is_list(choices) or not choices:
            return None
        choice = choices[0]
        if not is_object(choice):
            raise BackendError("the API streamed a choice that is no object")
        delta = choice.get("delta", choice.get("message"))
        text = ""
        if is_object(delta):
            text = "".join(part for key in ("content", "refusal") if isinstance(part := delta.get(key), str))
            if is_list(delta.get("tool_calls")):
                for position, call in enumerate(delta["tool_calls"]):
                    self._add_call(call, position)
        if isinstance(choice.get("finish_reason"), str):
            self.reason = choice["finish_reason"]
        logprobs = _logprobs(choice.get("logprobs"))
        return CompletionChunk(text=text, logprobs=logprobs) if text or logprobs else None

    def last(self, backend: str) -> CompletionChunk:
        """The closing chunk. Raises BackendError where the stream never said why it ended, or a filter ended it."""
        if self.reason is None:
            raise BackendUnavailable("the API's stream ended without a finish_reason")
        if self.reason not in _REASONS:
            raise BackendError(f"the API ended the answer with finish_reason {self.reason[:40]!r}")
        calls = tuple(
            ToolCall(call_id or f"call_{index}", name, arguments or "{}")
            for index, (call_id, name, arguments) in sorted(self.calls.items())
        )
        return CompletionChunk(
            finish_reason="tool_calls" if calls and self.reason != "length" else _REASONS[self.reason],
            tool_calls=calls if self.reason != "length" else (),
            usage=self.usage or Usage(),
            model=self.model,
            backend=backend,
        )

    def _add_call(self, call: Any, position: int) -> None:
        if not is_object(call):
            raise BackendError("the API streamed a tool call that is no object")
        index = call["index"] if isinstance(call.get("index"), int) else position
        if index not in self.calls and len(self.calls) >= MAX_TOOL_CALLS:
            raise BackendError(f"the API streamed more than {MAX_TOOL_CALLS} tool calls")
        entry = self.calls.setdefault(index, ["", "", ""])
        function = call.get("function")
        if isinstance(call.get("id"), str) and call["id"]:
            entry[0] = call["id"]
        if is_object(function):
            if isinstance(function.get("name"), str) and function["name"]:
                entry[1] = function["name"]
            if isinstance(function.get("arguments"), str):
                entry[2] += function["arguments"]
            elif is_object(function.get("arguments")):  # some servers send the object itself
                entry[2] = json.dumps(function["arguments"], ensure_ascii=False)


def parse_usage(value: Mapping[str, Any]) -> Usage:
    """The ``usage`` of an answer; what is missing or no number counts as 0."""
    usage = value.get("usage")
    if not is_object(usage):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if is_object(details) else 0
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached))


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether it is a JSON array."""
    return isinstance(value, list)


def _message(message: Message) -> dict[str, Any]:
    content: Any = message.content
    if message.images:
        parts: list[Any] = [{"type": "text", "text": message.content}] if message.content else []
        parts += [
            {
                "type": "image_url",
                "image_url": {
                    "url": f"data:{image.mime_type};base64,{base64.b64encode(image.data).decode()}"
                },
            }
            for image in message.images
        ]
        content = parts
    value: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        value["content"] = content or None
        value["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        value["tool_call_id"] = message.tool_call_id
    elif message.name:
        value["name"] = message.name
    return value


def _logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    rows = value.get("content") if is_object(value) else None
    if not is_list(rows):
        return ()
    return tuple(
        TokenLogprob(
            str(row.get("token", "")),
            float(row["logprob"]),
            tuple(
                (str(top.get("token", "")), float(top["logprob"])) for top in row.get("top_logprobs") or ()
            ),
        )
        for row in rows
        if is_object(row) and isinstance(row.get("logprob"), (int, float))
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
