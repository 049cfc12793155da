"""llm.tools: the loop of a model that calls tools, bounded by rounds.

Every call of a round is checked before any of them runs; if one is wrong none runs, and the model is told. Calls of
one round run side by side. What a tool answers, and what goes wrong inside it, goes back to the model as data;
a missing permission fails the node. Knows nothing of where tools come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from the_edge_agent.actions.llm_answer import answer_result, call_arguments, usage_json
from the_edge_agent.actions.llm_bound_tools import BoundTool, bind_tools
from the_edge_agent.actions.llm_messages import message_json, text_of
from the_edge_agent.actions.llm_model import Model, resolve_model
from the_edge_agent.engine.action import ActionContext
from the_edge_agent.errors import ActionError, PermissionDenied, StructuredOutputInvalid, ToolFailed
from the_edge_agent.inference import (
    ChatRequest,
    Completion,
    JsonObject,
    JsonValue,
    Message,
    ResponseFormat,
    Tool,
    ToolCall,
    Usage,
)

DEFAULT_ROUNDS = 8
MAX_CALLS = 32
"""Most calls of one round."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What one call came to: a result, or why there is none."""

    call: ToolCall
    arguments: JsonValue
    result: JsonValue = None
    error: str = ""

    def message(self) -> Message:
        """The turn that tells the model."""
        content = text_of(
            {"error": self.error} if self.error else self.result, f"the result of {self.call.name}"
        )
        return Message("tool", content, tool_call_id=self.call.id, name=self.call.name)

    def to_json(self) -> dict[str, Any]:
        """{id, name, arguments, result} or with error instead of result."""
        told: dict[str, Any] = {"id": self.call.id, "name": self.call.name, "arguments": self.arguments}
        return told | ({"error": self.error} if self.error else {"result": self.result})


async def tools(params: JsonObject, context: ActionContext) -> JsonValue:
    """The last answer's result; ``tool_calls`` holds every call with its result, ``rounds`` how many rounds there were.

    Raises:
        ActionParamsInvalid, SchemaUnsupported: the tools can't be offered like that.
        PermissionDenied: a tool, or what it does, isn't permitted.
        ToolFailed: the model still calls tools after ``max_tool_rounds``.
        StructuredOutputInvalid: the last answer isn't what ``response_format`` asks for.
    """
    model = await resolve_model(params, context)
    bound = await bind_tools(params["tools"], context)
    plain = {key: value for key, value in params.items() if key != "tools"}
    offered = tuple(entry.tool for entry in bound.values())
    wanted = model.request(plain, offered)
    limit = int(params.get("max_tool_rounds") or DEFAULT_ROUNDS)  # pyright: ignore[reportArgumentType]
    request = replace(wanted, response_format=ResponseFormat())
    answers: list[ToolAnswer] = []
    usage = Usage()
    rounds = 0
    while True:
        completion = await model.ask(request, stream=context.stream)
        usage += completion.usage
        if not completion.tool_calls:
            break
        if rounds == limit:
            raise ToolFailed(
                f"the model still calls tools after {limit} rounds",
                fix="raise max_tool_rounds, or say when to stop",
            )
        rounds += 1
        done = await _round(completion.tool_calls, bound)
        answers += done
        turn = Message("assistant", completion.text, tool_calls=completion.tool_calls)
        # A forced choice is for the first round: forced again, it would never end.
        request = replace(
            request,
            messages=(*request.messages, turn, *(answer.message() for answer in done)),
            tool_choice="auto",
        )
    if wanted.response_format.type != "text":
        request, completion, more = await _shaped(model, request, wanted)
        usage += more
    result = answer_result(completion, replace(request, tools=()))
    conversation = (*request.messages, Message("assistant", completion.text))
    return result | {
        "tool_calls": [answer.to_json() for answer in answers],
        "rounds": rounds,
        "usage": usage_json(usage),
        "messages": [message_json(message) for message in conversation],
    }


async def _shaped(
    model: Model, request: ChatRequest, wanted: ChatRequest
) -> tuple[ChatRequest, Completion, Usage]:
    """Ask once more for the answer in the shape of ``response_format``: tools and a shape at once suit few models."""
    request = replace(request, tools=(), tool_choice="auto", response_format=wanted.response_format)
    completion = await model.ask(request, stream=False)
    return request, completion, completion.usage


async def _round(calls: tuple[ToolCall, ...], bound: Mapping[str, BoundTool]) -> list[ToolAnswer]:
    """Check all, then run all. Raises PermissionDenied, and whatever isn't an action's own failure."""
    offered = [entry.tool for entry in bound.values()]
    checked = [_checked(call, offered) for call in calls]
    if len(calls) > MAX_CALLS:
        checked = [replace(answer, error=f"more than {MAX_CALLS} calls at once") for answer in checked]
    if any(answer.error for answer in checked):
        held = "not run: another call of the same turn was wrong"
        return [answer if answer.error else replace(answer, error=held) for answer in checked]
    if len(checked) == 1:
        return [await _run(checked[0], bound)]
    tasks = [asyncio.ensure_future(_run(answer, bound)) for answer in checked]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        return [task.result() if task.done() else await task for task in tasks]
    finally:
        # An exception, a question to a person or a cancellation ends the others too.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _checked(call: ToolCall, offered: Sequence[Tool]) -> ToolAnswer:
    try:
        return ToolAnswer(call, call_arguments(call, offered))
    except StructuredOutputInvalid as error:
        return ToolAnswer(call, call.arguments, error=str(error))


async def _run(answer: ToolAnswer, bound: Mapping[str, BoundTool]) -> ToolAnswer:
    arguments = answer.arguments
    assert isinstance(arguments, Mapping)
    try:
        return replace(answer, result=await bound[answer.call.name].run(arguments))
    except PermissionDenied:
        raise
    except ActionError as error:
        return replace(answer, error=str(error))
