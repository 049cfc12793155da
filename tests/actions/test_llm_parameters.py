"""Nothing that the language documents is ignored: every parameter of llm.* changes what is asked."""

import asyncio

import pytest
from tests.actions.llm_context import OneBackend, make_context

from the_edge_agent.actions.llm import LLM_ACTIONS
from the_edge_agent.backends.scripted import ScriptedAnswer, ScriptedBackend, tool_call
from the_edge_agent.engine.params import checked_params
from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.workflow.builtin_actions import BUILTIN

NAMES = sorted(LLM_ACTIONS)
ADD = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
BASE = {
    "llm.call": {"prompt": "p", "tools": [ADD]},
    "llm.chat": {"prompt": "p", "tools": [ADD]},
    "llm.stream": {"prompt": "p", "tools": [ADD]},
    "llm.tools": {"prompt": "p", "tools": [{**ADD, "uses": "test.add"}]},
    "llm.embed": {"text": "t"},
    "llm.similarity": {"text": "t", "candidates": ["c"]},
    "llm.classify": {"text": "t", "labels": ["x", "y"]},
}
OTHER = {
    "messages": [{"role": "user", "content": "m"}],
    "prompt": "other",
    "system": "s",
    "model": "m",
    "model_path": "m.gguf",
    "level": "tactical",
    "backend": "runtime",
    "privacy": "may-leave",
    "timeout_s": 7,
    "max_tokens": 3,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "min_p": 0.5,
    "seed": 5,
    "stop": "z",
    "repeat_penalty": 1.5,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "response_format": "json_object",
    "tools": [{**ADD, "name": "other", "uses": "test.add"}],
    "tool_choice": "required",
    "logprobs": 2,
    "on_overflow": "truncate_oldest",
    "max_tool_rounds": 1,
    "text": "other",
    "candidates": ["other"],
    "labels": ["x", "z"],
    "instructions": "Do.",
    "examples": [{"text": "e", "label": "x"}],
}
LONG = [{"role": "user", "content": "x" * 900}, {"role": "assistant", "content": "a"}]


def outcome(name, params):
    """All that can be seen of a call: what the resolver and the backend were asked, and how it ended."""

    def script(request):
        if request.response_format.type != "text":
            return '"x"' if name == "llm.classify" else "{}"
        if name == "llm.tools" and len(request.messages) < 4:
            return ScriptedAnswer(tool_calls=(tool_call(request.tools[0].name, {}),))
        return "x"

    async def add(_params, _context):
        return 1

    backend = ScriptedBackend(script, n_ctx=1000)
    resolver = OneBackend(backend)
    context = make_context(backend, resolver=resolver, actions={**LLM_ACTIONS, "test.add": add})
    try:
        result = asyncio.run(LLM_ACTIONS[name](checked_params(BUILTIN[name], params), context))
    except EdgeAgentError as error:
        result = f"{error.name}: {error.what}"
    return resolver.choices, backend.requests, backend.embed_requests, result


@pytest.mark.parametrize(("name", "param"), [(n, p.name) for n in NAMES for p in BUILTIN[n].params])
def test_every_documented_parameter_has_an_effect(name, param):
    base, other = BASE[name], OTHER[param]
    if param == "on_overflow":
        base = {**base, "messages": LONG, "prompt": "y" * 200}
    if name != "llm.tools" and param == "tools":
        other = [{**ADD, "name": "other"}]
    assert outcome(name, {**base, param: other}) != outcome(name, base)


def test_the_samples_cover_the_language():
    assert {p.name for n in NAMES for p in BUILTIN[n].params} == set(OTHER)
