"""Turns an llm.* action's parameters into a ChatRequest and a BackendChoice; pure.

Knows the rules of privacy (see ``request_privacy``); knows nothing of who answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from the_edge_agent.actions.llm_messages import parse_conversation, parse_tools
from the_edge_agent.engine.action import ActionContext
from the_edge_agent.engine.foresight import named_choice
from the_edge_agent.engine.ports import BackendChoice
from the_edge_agent.errors import ActionParamsInvalid, SchemaUnsupported
from the_edge_agent.inference import (
    ChatRequest,
    JsonObject,
    JsonValue,
    Level,
    Privacy,
    ResponseFormat,
    SamplingParams,
    Tool,
)
from the_edge_agent.inference.json_schema import parse_schema

_SAMPLING = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
)
_SCHEMA_KEYS = ("schema", "json_schema")


def backend_choice(params: JsonObject, context: ActionContext) -> BackendChoice:
    """What the node asks for; None where it says nothing."""
    return named_choice(params, context.settings.llm, context.base_dir)


def request_privacy(params: JsonObject, context: ActionContext, *, api_chosen: bool) -> Privacy:
    """What the request itself tells the backend; the backend refuses what may not leave.

    A node's ``local-only`` wins. Otherwise leave is given where the resolver chose the API (it does so only with the
    leave of the file or the caller) or the file says ``fallback: api``; never by ``may-leave`` alone.
    """
    if params.get("privacy") == "local-only":
        return "local-only"
    return "may-leave" if api_chosen or context.settings.llm.fallback == "api" else "local-only"


def chat_request(
    params: JsonObject, context: ActionContext, tools: Sequence[Tool] = (), *, model: str, privacy: Privacy
) -> ChatRequest:
    """The whole request; ``tools`` or the parameter of that name are offered, closed to undeclared arguments.

    Raises:
        ActionParamsInvalid: names the parameter and what it takes.
        SchemaUnsupported: the schema of ``response_format`` or of a tool can't be honoured.
    """
    offered = tuple(tools) or (parse_tools(params["tools"]) if params.get("tools") else ())
    offered = tuple(replace(t, parameters=closed_schema(t.parameters, f"tools.{t.name}")) for t in offered)
    return ChatRequest(
        messages=parse_conversation(params),
        sampling=sampling_params(params, context),
        model=model,
        level=cast("Level | None", params.get("level")),
        tools=offered,
        tool_choice=tool_choice(params.get("tool_choice"), offered),
        response_format=response_format(params.get("response_format")),
        deadline_s=deadline_s(params, context),
        privacy=privacy,
    )


def sampling_params(params: JsonObject, context: ActionContext) -> SamplingParams:
    """How to sample; the seed is the node's own, else the run's for this place. Raises ActionParamsInvalid."""
    given: dict[str, Any] = {name: params[name] for name in _SAMPLING if params.get(name) is not None}
    seed = params.get("seed")
    given["seed"] = context.seed if seed is None else seed
    stop = params.get("stop")
    if stop is not None:
        texts = [stop] if isinstance(stop, str) else stop
        if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
            raise ActionParamsInvalid(
                "stop is no text or list of texts", fix="give text where the answer ends"
            )
        given["stop"] = tuple(texts)
    return SamplingParams(**given)


def deadline_s(params: JsonObject, context: ActionContext) -> float | None:
    """The nearer of the action's own ``timeout_s`` and what is left of the node's."""
    own = params.get("timeout_s")
    left = [float(value) for value in (own, context.deadline_s) if isinstance(value, (int, float))]
    return min(left) if left else None


def response_format(value: JsonValue) -> ResponseFormat:
    """``json_object``, ``{type: json_schema, schema}`` or OpenAI's ``{type: json_schema, json_schema: {schema}}``.

    The schema is read here, so that one that can't be honoured fails before any model is asked.
    """
    if value is None or value == "text":
        return ResponseFormat()
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, Mapping):
        raise _format_invalid(f"is {value!r}")
    kind = value.get("type", "json_schema" if any(key in value for key in _SCHEMA_KEYS) else None)
    unknown = sorted(set(value) - {"type", "schema", "json_schema", "name", "strict"})
    if unknown:
        raise _format_invalid(f"has no key {unknown[0]!r}")
    if kind in ("text", "json_object"):
        return ResponseFormat(type=kind)
    if kind != "json_schema":
        raise _format_invalid(f"has the type {kind!r}")
    inner = value.get("json_schema", value)
    schema = inner.get("schema", None if inner is value else inner) if isinstance(inner, Mapping) else None
    if not isinstance(schema, Mapping):
        raise _format_invalid("has no schema")
    _check_schema(schema, "response_format")
    name = inner.get("name") if isinstance(inner, Mapping) else None
    return ResponseFormat("json_schema", schema, name if isinstance(name, str) else "output")


def tool_choice(value: JsonValue, tools: Sequence[Tool]) -> str:
    """``auto``, ``none``, ``required`` or a tool's name, which must be one of the list."""
    if value is None:
        return "auto"
    if isinstance(value, Mapping):  # OpenAI's {type: function, function: {name}}
        inner = value.get("function", value)
        value = inner.get("name") if isinstance(inner, Mapping) else None
    names = [tool.name for tool in tools]
    if value not in ("auto", "none", *(["required", *names] if names else [])):
        raise ActionParamsInvalid(
            f"tool_choice is {value!r}",
            fix=f"choose one of {', '.join(['auto', 'none', 'required', *names])}",
        )
    return cast("str", value)


def closed_schema(schema: JsonObject, place: str) -> JsonObject:
    """A tool's parameters with undeclared ones refused, unless the definition admits them.

    Raises:
        SchemaUnsupported: at the JSON pointer, with the tool's place before it.
    """
    closed = (
        schema
        if "additionalProperties" in schema or "$ref" in schema
        else {**schema, "additionalProperties": False}
    )
    _check_schema(closed, place)
    return closed


def _check_schema(schema: JsonObject, place: str) -> None:
    try:
        parse_schema(schema)
    except SchemaUnsupported as error:
        raise SchemaUnsupported(f"{place}: {error}") from None  # the engine adds the file's place


def _format_invalid(what: str) -> ActionParamsInvalid:
    return ActionParamsInvalid(
        f"response_format {what}", fix="write json_object, or {type: json_schema, schema: {...}}"
    )
