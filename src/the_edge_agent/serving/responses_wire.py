"""OpenAI's Responses API over the same core: bodies to requests, chunks to its typed events. Pure; stores nothing."""

from __future__ import annotations

import json
from typing import Any, cast

from the_edge_agent.errors import UnsupportedFeature
from the_edge_agent.inference import Completion, CompletionChunk, Usage
from the_edge_agent.serving.fields import Body, list_field, object_field, text_field, wrong
from the_edge_agent.serving.openai_requests import ChatCall, parse_chat


def parse_responses(body: Body, schema_bytes: int = 256_000) -> ChatCall:
    """A body of /v1/responses, by way of the chat completion that asks the same. Raises ActionParamsInvalid, UnsupportedFeature."""
    for name in ("previous_response_id", "background", "conversation"):
        if body.get(name):
            raise UnsupportedFeature(
                f"{name} is not supported: nothing is stored here",
                place=name,
                fix="send the whole conversation as input",
            )
    messages: list[Any] = []
    if instructions := text_field(body, "instructions"):
        messages.append({"role": "system", "content": instructions})
    given = body.get("input")
    messages += (
        [{"role": "user", "content": given}]
        if isinstance(given, str)
        else _messages(list_field(body, "input"))
    )
    format_ = object_field(object_field(body, "text"), "format")
    chat: dict[str, Any] = {
        **{
            name: body.get(name)
            for name in ("model", "temperature", "top_p", "stream", "seed", "deadline_s", "level")
        },
        **{
            name: body.get(name)
            for name in ("tool_choice", "parallel_tool_calls", "priority", "escalate", "privacy")
        },
        "messages": messages,
        "max_tokens": body.get("max_output_tokens"),
        "tools": list_field(body, "tools"),
        "response_format": format_ or None,
    }
    return parse_chat(chat, schema_bytes)


def _messages(items: list[Any]) -> list[Any]:
    """Input items as chat messages."""
    messages: list[Any] = []
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise wrong(f"input[{place}]", item, "give objects")
        tree = cast("dict[str, Any]", item)
        kind = tree.get("type", "message")
        if kind == "message":
            messages.append({"role": tree.get("role"), "content": tree.get("content")})
        elif kind == "function_call":
            function = {"name": tree.get("name"), "arguments": tree.get("arguments")}
            call = {"id": tree.get("call_id"), "type": "function", "function": function}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        elif kind == "function_call_output":
            messages.append(
                {"role": "tool", "tool_call_id": tree.get("call_id"), "content": tree.get("output")}
            )
        else:
            raise UnsupportedFeature(f"input items of type {kind!r} are not taken", place=f"input[{place}]")
    return messages


def response_tree(
    completion: Completion | None, *, answer_id: str, created: int, model: str, reason: str = ""
) -> dict[str, Any]:
    """A response object: in progress without a completion."""
    tree: dict[str, Any] = {
        "id": answer_id,
        "object": "response",
        "created_at": created,
        "model": model,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": None,
        "top_p": None,
        "output": [],
        "usage": None,
    }
    if completion is None:
        return tree
    cut_off = completion.finish_reason == "length"
    return {
        **tree,
        "status": "incomplete" if cut_off else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut_off else None,
        "output": _output(completion, answer_id),
        "usage": _usage(completion.usage),
        "route_reason": reason,
    }


def _output(completion: Completion, answer_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if completion.text or not completion.tool_calls:
        items.append(_message_item(answer_id, completion.text, "completed"))
    items += [
        {
            "type": "function_call",
            "id": f"fc_{call.id}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for call in completion.tool_calls
    ]
    return items


def _message_item(answer_id: str, text: str | None, status: str) -> dict[str, Any]:
    content = [] if text is None else [_text_part(text)]
    return {
        "type": "message",
        "id": f"msg_{answer_id}",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


class ResponseWriter:
    """One stream as the Responses API's events, in its order and with its sequence numbers."""

    def __init__(self, *, answer_id: str, created: int, model: str) -> None:
        self._id = answer_id
        self._created = created
        self._model = model
        self._number = 0
        self._text = ""
        self._begun = False

    def events(self, chunk: CompletionChunk, reason: str = "") -> bytes:
        """The events of one chunk."""
        text = "" if self._begun else self._begin()
        place = {"item_id": f"msg_{self._id}", "output_index": 0, "content_index": 0}
        if chunk.text:
            self._text += chunk.text
            text += self._event("response.output_text.delta", **place, delta=chunk.text, logprobs=[])
        if chunk.finish_reason is not None:
            text += self._end(chunk, place, reason)
        return text.encode()

    def _begin(self) -> str:
        self._begun = True
        blank = response_tree(None, answer_id=self._id, created=self._created, model=self._model)
        item = _message_item(self._id, None, "in_progress")
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        return (
            self._event("response.created", response=blank)
            + self._event("response.in_progress", response=blank)
            + self._event("response.output_item.added", output_index=0, item=item)
            + self._event("response.content_part.added", **place, part=_text_part(""))
        )

    def _end(self, chunk: CompletionChunk, place: dict[str, Any], reason: str) -> str:
        completion = Completion(
            self._text, chunk.finish_reason or "stop", chunk.tool_calls, chunk.usage or Usage()
        )
        text = self._event("response.output_text.done", **place, text=self._text, logprobs=[])
        text += self._event("response.content_part.done", **place, part=_text_part(self._text))
        item = _message_item(self._id, self._text, "completed")
        text += self._event("response.output_item.done", output_index=0, item=item)
        for index, call in enumerate(chunk.tool_calls, start=1):
            (call_item,) = [i for i in _output(completion, self._id) if i.get("call_id") == call.id][:1]
            where = {"item_id": call_item["id"], "output_index": index}
            empty = {**call_item, "arguments": "", "status": "in_progress"}
            text += self._event("response.output_item.added", output_index=index, item=empty)
            text += self._event("response.function_call_arguments.delta", **where, delta=call.arguments)
            done = {"name": call.name, "arguments": call.arguments}
            text += self._event("response.function_call_arguments.done", **where, **done)
            text += self._event("response.output_item.done", output_index=index, item=call_item)
        whole = response_tree(
            completion, answer_id=self._id, created=self._created, model=self._model, reason=reason
        )
        kind = "response.incomplete" if chunk.finish_reason == "length" else "response.completed"
        return text + self._event(kind, response=whole)

    def _event(self, kind: str, **fields: Any) -> str:
        tree = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return f"event: {kind}\ndata: {json.dumps(tree, separators=(',', ':'))}\n\n"
