"""One answer as an OpenTelemetry span, by the conventions for generative AI. Pure: values in, OTLP's JSON out.

A span has figures only: who was asked, how it was sampled, how many tokens, how long. No prompt, no answer, no key. It knows
nothing of sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.inference import ChatRequest, CompletionChunk

PROVIDER = "the_edge_agent"
_SERVER = 2
_FAILED = 2
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_HEX = set("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Parent:
    """The trace that a request belongs to, from its ``traceparent``; empty where it brought none."""

    trace_id: str = ""
    span_id: str = ""


NO_PARENT = Parent()


@dataclass(frozen=True, slots=True)
class Span:
    """``start_ns`` and ``end_ns`` since the epoch. Attributes are strings, numbers, or lists of strings."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    failure: str = ""


def parse_traceparent(header: str) -> Parent:
    """W3C's ``00-TRACE-SPAN-FLAGS``; what is none counts as absent."""
    version, _, rest = header.strip().partition("-")
    trace_id, _, rest = rest.partition("-")
    span_id = rest.partition("-")[0]
    sound = len(version) == 2 and version != "ff" and set(version) <= _HEX
    sound = sound and len(trace_id) == _TRACE_DIGITS and len(span_id) == _SPAN_DIGITS
    sound = sound and set(trace_id + span_id) <= _HEX and bool(trace_id.strip("0") and span_id.strip("0"))
    return Parent(trace_id, span_id) if sound else NO_PARENT


def request_attributes(request: ChatRequest, target: str, reason: str) -> dict[str, Any]:
    """What was asked for, and who answered and why."""
    sampling = request.sampling
    given: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": request.model or "auto",
        "gen_ai.response.model": target,
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.top_k": sampling.top_k or None,
        "gen_ai.request.seed": sampling.seed,
        "gen_ai.output.type": "text" if request.response_format.type == "text" else "json",
        "tea.route.reason": reason,
    }
    return {name: value for name, value in given.items() if value is not None}


def answer_attributes(last: CompletionChunk | None, first_text_s: float | None) -> dict[str, Any]:
    """What is known when the answer is over; ``last`` is None where it never got that far."""
    given: dict[str, Any] = {"tea.time_to_first_text_s": first_text_s}
    if last is not None:
        given["gen_ai.response.finish_reasons"] = [last.finish_reason or ""]
        if last.usage is not None:
            given["gen_ai.usage.input_tokens"] = last.usage.prompt_tokens
            given["gen_ai.usage.output_tokens"] = last.usage.completion_tokens
            given["tea.usage.cached_tokens"] = last.usage.cached_tokens
        if last.timings is not None:
            given["tea.prefill_s"], given["tea.decode_s"] = last.timings.prefill_s, last.timings.decode_s
    return {name: value for name, value in given.items() if value is not None}


def failure_name(error: BaseException) -> str:
    """``error.type``: our own name of an error, ``cancelled`` for a reader who left, else the class."""
    if isinstance(error, EdgeAgentError):
        return error.name
    return type(error).__name__ if isinstance(error, Exception) else "cancelled"


def otlp_json(spans: Sequence[Span], service: str, version: str) -> dict[str, Any]:
    """The body of a POST to /v1/traces (OTLP 1.x, JSON encoding)."""
    resource = {"service.name": service, "service.version": version}
    scope = {"name": PROVIDER, "version": version}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [{"scope": scope, "spans": [_span(span) for span in spans]}],
            }
        ]
    }


def _span(span: Span) -> dict[str, Any]:
    attributes = dict(span.attributes)
    tree: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _SERVER,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
    }
    if span.parent_id:
        tree["parentSpanId"] = span.parent_id
    if span.failure:
        attributes["error.type"] = span.failure
        tree["status"] = {"code": _FAILED, "message": span.failure}
    return {**tree, "attributes": _attributes(attributes)}


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"arrayValue": {"values": [_value(item) for item in value]}}
