"""Turns a Completion into an action's result, and checks what the model promised; pure.

Model output is data: it is parsed and validated, never executed or rendered. Knows nothing of backends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from the_edge_agent.errors import StructuredOutputInvalid
from the_edge_agent.inference import (
    ChatRequest,
    Completion,
    Embeddings,
    JsonObject,
    JsonValue,
    ResponseFormat,
    Tool,
    ToolCall,
    Usage,
)
from the_edge_agent.inference.json_schema import validate


def answer_result(completion: Completion, request: ChatRequest) -> dict[str, Any]:
    """The result of llm.call and its siblings.

    Keys: content, model, backend, finish_reason, usage, timings, tool_calls, n_ctx, notices; ``json`` where
    ``response_format`` asked for JSON, ``logprobs`` where they were asked for.

    Raises:
        StructuredOutputInvalid: the answer isn't what ``response_format`` or a tool's parameters ask for, or it was
            cut off before it was whole.
    """
    result: dict[str, Any] = {"content": completion.text}
    if request.response_format.type != "text" and not completion.tool_calls:
        result["json"] = structured(completion, request.response_format)
    result |= {
        "model": completion.model,
        "backend": completion.backend,
        "finish_reason": completion.finish_reason,
        "usage": usage_json(completion.usage),
        "timings": {
            "queue_s": completion.timings.queue_s,
            "prefill_s": completion.timings.prefill_s,
            "decode_s": completion.timings.decode_s,
        },
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": call_arguments(call, request.tools)}
            for call in completion.tool_calls
        ],
        "n_ctx": completion.n_ctx,
        "notices": list(completion.notices),
    }
    if request.sampling.logprobs is not None:
        result["logprobs"] = [
            {
                "token": entry.token,
                "logprob": entry.logprob,
                "top": [{"token": token, "logprob": logprob} for token, logprob in entry.top],
            }
            for entry in completion.logprobs
        ]
    return result


def structured(completion: Completion, wanted: ResponseFormat) -> JsonValue:
    """The parsed value of a JSON answer. Raises StructuredOutputInvalid saying what is wrong where."""
    if completion.finish_reason in ("length", "cancelled"):
        raise StructuredOutputInvalid(
            f"the answer was cut off after {completion.usage.completion_tokens} tokens "
            f"(finish_reason {completion.finish_reason}), so it is no whole JSON",
            fix="raise max_tokens, or ask for less",
        )
    value = parse_json(completion.text, "the answer")
    if wanted.type == "json_object":
        problems = () if isinstance(value, Mapping) else ("it is no object",)
    else:
        problems = tuple(str(problem) for problem in validate(wanted.schema or {}, value))
    if problems:
        raise StructuredOutputInvalid(
            f"the answer doesn't meet the schema: {'; '.join(problems)[:500]}",
            fix="retry on StructuredOutputInvalid, or use a backend that enforces schemas",
        )
    return value


def call_arguments(call: ToolCall, tools: Sequence[Tool]) -> JsonObject:
    """A call's arguments, parsed and checked against the tool's parameters.

    Raises:
        StructuredOutputInvalid: no such tool, no JSON, no object, or not what the parameters ask for.
    """
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None:
        names = ", ".join(tool.name for tool in tools) or "none"
        raise StructuredOutputInvalid(
            f"the model called the unknown tool {call.name[:80]!r}", fix=f"there are {names}"
        )
    value = parse_json(call.arguments or "{}", f"the arguments of {call.name}")
    if not isinstance(value, Mapping):
        raise StructuredOutputInvalid(
            f"the arguments of {call.name} are no object", fix="retry, or use a larger model"
        )
    problems = validate(tool.parameters, value)
    if problems:
        raise StructuredOutputInvalid(
            f"the arguments of {call.name} don't fit: {'; '.join(map(str, problems))[:500]}",
            fix="retry, or use a larger model",
        )
    return value


def parse_json(text: str, what: str) -> JsonValue:
    """Strict JSON: no NaN, no text around it. Raises StructuredOutputInvalid with the place."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise StructuredOutputInvalid(
            f"{what} is no JSON: {error.msg} at character {error.pos}: {text[error.pos : error.pos + 40]!r}",
            fix="set response_format where the backend enforces it, or retry",
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise StructuredOutputInvalid(
            f"{what} is no JSON: {reason}", fix="retry on StructuredOutputInvalid"
        ) from None


def usage_json(usage: Usage) -> dict[str, int]:
    """Tokens by name."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
    }


def embed_result(embeddings: Embeddings, *, many: bool) -> dict[str, Any]:
    """The result of llm.embed: the first vector as ``embedding``, and all as ``embeddings`` for a list."""
    first = list(embeddings.vectors[0]) if embeddings.vectors else []
    result: dict[str, Any] = {"embedding": first, "dimensions": len(first)}
    if many:
        result["embeddings"] = [list(vector) for vector in embeddings.vectors]
    return result | {
        "model": embeddings.model,
        "backend": embeddings.backend,
        "usage": usage_json(embeddings.usage),
    }


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON number")
