"""OpenAI's answers: completions and chunks to trees and events. Pure."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from the_edge_agent.backends.runtime_fields import finite
from the_edge_agent.inference import (
    Completion,
    CompletionChunk,
    Embeddings,
    TokenLogprob,
    ToolCall,
    Usage,
)


def usage_tree(usage: Usage) -> dict[str, Any]:
    """OpenAI's usage object."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def logprobs_tree(logprobs: tuple[TokenLogprob, ...]) -> dict[str, Any]:
    """OpenAI's logprobs of chat completions."""
    return {
        "content": [
            {
                "token": entry.token,
                "logprob": finite(entry.logprob),
                "bytes": list(entry.token.encode("utf-8", "surrogatepass")),
                "top_logprobs": [
                    {
                        "token": token,
                        "logprob": finite(value),
                        "bytes": list(token.encode("utf-8", "surrogatepass")),
                    }
                    for token, value in entry.top
                ],
            }
            for entry in logprobs
        ]
    }


def tool_call_tree(call: ToolCall, index: int | None = None) -> dict[str, Any]:
    """A tool call; with its index in deltas."""
    tree = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return tree if index is None else {"index": index, **tree}


def timings_tree(completion: Completion | CompletionChunk) -> dict[str, Any]:
    """Where the time went, in llama.cpp's names and milliseconds."""
    timings = completion.timings
    if timings is None:
        return {}
    return {
        "queue_ms": round(timings.queue_s * 1000, 3),
        "prompt_ms": round(timings.prefill_s * 1000, 3),
        "predicted_ms": round(timings.decode_s * 1000, 3),
    }


def completion_tree(
    completion: Completion, *, answer_id: str, created: int, model: str, reason: str, chat: bool
) -> dict[str, Any]:
    """A whole answer as a chat completion, or as a text completion."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": completion.finish_reason}
    if chat:
        message: dict[str, Any] = {"role": "assistant", "content": completion.text, "refusal": None}
        if completion.tool_calls:
            message["tool_calls"] = [tool_call_tree(call) for call in completion.tool_calls]
            message["content"] = completion.text or None
        choice["message"] = message
    else:
        choice["text"] = completion.text
    choice["logprobs"] = logprobs_tree(completion.logprobs) if completion.logprobs else None
    return {
        "id": answer_id,
        "object": "chat.completion" if chat else "text_completion",
        "created": created,
        "model": model,
        "choices": [choice],
        "usage": usage_tree(completion.usage),
        "timings": timings_tree(completion),
        "route_reason": reason,
        "notices": list(completion.notices),
    }


class ChunkWriter:
    """Chunks of one stream as server-sent events; the parts that never change are written once."""

    def __init__(self, *, answer_id: str, created: int, model: str, wants_usage: bool, chat: bool) -> None:
        head = {
            "id": answer_id,
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": created,
            "model": model,
        }
        self._head = json.dumps(head, separators=(",", ":"))[:-1]
        self._chat = chat
        self._wants_usage = wants_usage
        self._usage_null = ',"usage":null' if wants_usage else ""
        self._is_first = True

    def events(self, chunk: CompletionChunk, reason: str = "") -> bytes:
        """The events of one chunk; those of the last one end with ``[DONE]``."""
        text = ""
        if self._is_first:
            self._is_first = False
            if self._chat:
                text = self._event('{"role":"assistant","content":""}', "null")
        if chunk.text or chunk.logprobs:
            logprobs = json.dumps(logprobs_tree(chunk.logprobs)) if chunk.logprobs else "null"
            text += self._event(self._delta(chunk.text), "null", logprobs)
        if chunk.finish_reason is not None:
            text += self._ending(chunk, reason)
        return text.encode()

    def _delta(self, text: str) -> str:
        return f'{{"content":{json.dumps(text)}}}' if self._chat else json.dumps(text)

    def _event(self, delta: str, finish: str, logprobs: str = "null", more: str = "") -> str:
        name = "delta" if self._chat else "text"
        return (
            f'data: {self._head},"choices":[{{"index":0,"{name}":{delta},"logprobs":{logprobs},'
            f'"finish_reason":{finish}}}]{self._usage_null}{more}}}\n\n'
        )

    def _ending(self, chunk: CompletionChunk, reason: str) -> str:
        text = ""
        if chunk.tool_calls:
            calls = [tool_call_tree(call, index) for index, call in enumerate(chunk.tool_calls)]
            text += self._event(json.dumps({"tool_calls": calls}), "null")
        more = json.dumps(
            {"route_reason": reason, "notices": list(chunk.notices), "timings": timings_tree(chunk)}
        )
        text += self._event(
            "{}" if self._chat else '""', json.dumps(chunk.finish_reason), more="," + more[1:-1]
        )
        if self._wants_usage:
            usage = json.dumps(usage_tree(chunk.usage or Usage()))
            text += f'data: {self._head},"choices":[],"usage":{usage}}}\n\n'
        return text + "data: [DONE]\n\n"


def embeddings_tree(embeddings: Embeddings, model: str, *, as_base64: bool) -> dict[str, Any]:
    """OpenAI's list of embeddings."""

    def encoded(vector: tuple[float, ...]) -> Any:
        return (
            base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if as_base64 else list(vector)
        )

    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": index, "embedding": encoded(vector)}
            for index, vector in enumerate(embeddings.vectors)
        ],
        "usage": {
            "prompt_tokens": embeddings.usage.prompt_tokens,
            "total_tokens": embeddings.usage.prompt_tokens,
        },
    }
