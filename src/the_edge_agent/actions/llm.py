"""llm.call, llm.chat, llm.stream, and the table of all llm.* actions.

An action renders nothing and decides nothing about backends: it turns parameters into a request, asks, and turns the
answer into a result. See llm_request, llm_model and llm_answer for the three steps.
"""

from __future__ import annotations

from typing import Any

from the_edge_agent.actions.llm_answer import answer_result
from the_edge_agent.actions.llm_classify import classify
from the_edge_agent.actions.llm_embed import embed, similarity
from the_edge_agent.actions.llm_messages import message_json
from the_edge_agent.actions.llm_model import resolve_model
from the_edge_agent.actions.llm_tools import tools
from the_edge_agent.engine.action import ActionContext, Actions
from the_edge_agent.inference import ChatRequest, Completion, JsonObject, JsonValue, Message


async def call(params: JsonObject, context: ActionContext) -> JsonValue:
    """Ask once; tokens are told only where the node says ``stream: true``."""
    completion, request = await _asked(params, context, stream=context.stream)
    return answer_result(completion, request)


async def chat(params: JsonObject, context: ActionContext) -> JsonValue:
    """Like ``call``; the result's ``messages`` is the conversation with the answer appended."""
    completion, request = await _asked(params, context, stream=context.stream)
    answer = Message("assistant", completion.text, tool_calls=completion.tool_calls)
    messages: list[Any] = [message_json(message) for message in (*request.messages, answer)]
    return {**answer_result(completion, request), "messages": messages}


async def stream(params: JsonObject, context: ActionContext) -> JsonValue:
    """Like ``call``; every token is told as it comes."""
    completion, request = await _asked(params, context, stream=True)
    return answer_result(completion, request)


async def _asked(
    params: JsonObject, context: ActionContext, *, stream: bool
) -> tuple[Completion, ChatRequest]:
    model = await resolve_model(params, context)
    request = model.request()
    return await model.ask(request, stream=stream), request


#: Every llm.* action by name.
LLM_ACTIONS: Actions = {
    "llm.call": call,
    "llm.chat": chat,
    "llm.stream": stream,
    "llm.tools": tools,
    "llm.embed": embed,
    "llm.similarity": similarity,
    "llm.classify": classify,
}
