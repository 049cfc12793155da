"""Runs an llm.* action over a scripted backend, without an engine."""

import asyncio
from dataclasses import dataclass, field

from the_edge_agent.actions.llm import LLM_ACTIONS
from the_edge_agent.backends.scripted import ScriptedBackend
from the_edge_agent.engine.action import ActionContext, CallReport
from the_edge_agent.engine.params import checked_params
from the_edge_agent.engine.ports import BackendChoice, Ports, ResolvedBackend
from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.nodes import Permissions, Settings


@dataclass
class OneBackend:
    backend: ScriptedBackend
    model: str = ""
    notices: tuple = ()
    choices: list = field(default_factory=list)

    async def resolve(self, choice: BackendChoice) -> ResolvedBackend:
        self.choices.append(choice)
        return ResolvedBackend(self.backend, self.model, self.notices)


def make_context(
    backend, *, actions=None, ports=None, permissions=None, settings=None, resolver=None, **fields
):
    tokens = fields.pop("tokens", [])
    return ActionContext(
        run_id="r",
        node="ask",
        address="ask",
        place="agent.yaml:1:1",
        settings=settings or Settings(),
        permissions=permissions or Permissions(),
        ports=ports or Ports(),
        backends=resolver or (OneBackend(backend) if backend is not None else None),
        emit_token=tokens.append,
        ask=fields.pop("ask", None),
        report=CallReport(),
        scope={},
        actions=actions or LLM_ACTIONS,
        **fields,
    )


def perform(name, params, backend, **fields):
    """The action's result, its parameters checked as the engine does."""
    context = fields.pop("context", None) or make_context(backend, **fields)
    return asyncio.run(LLM_ACTIONS[name](checked_params(BUILTIN[name], params), context))
