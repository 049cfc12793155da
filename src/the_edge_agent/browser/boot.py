"""What the engine's worker imports: ``boot(post)`` wires a tab and returns the function that takes its messages.

Served to the page: ``run``, ``resume``, ``replay``, ``describe``, ``history``. Knows nothing of JavaScript.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import the_edge_agent.engine.run as engine_run
from the_edge_agent.actions import BUILTIN_ACTIONS
from the_edge_agent.browser.border import Border, Emit
from the_edge_agent.browser.handler import HandlerBackend
from the_edge_agent.browser.kept_run import KeptRun, create_run, open_run
from the_edge_agent.browser.memory import TabMemory
from the_edge_agent.browser.resolver import TabBackends
from the_edge_agent.browser.wllama import WllamaBackend
from the_edge_agent.engine.events import Event
from the_edge_agent.engine.ports import Ports
from the_edge_agent.engine.records import read_history
from the_edge_agent.engine.run_id import new_run_id
from the_edge_agent.engine.session import Asker
from the_edge_agent.errors import UsageError
from the_edge_agent.inference import JsonObject, JsonValue
from the_edge_agent.workflow.load import parse_workflow
from the_edge_agent.workflow.nodes import Permissions, Workflow
from the_edge_agent.workflow.streaming import streaming


def boot(post: Callable[[str], object], *, has_handler: bool = False) -> Callable[[str], None]:
    """Wire the tab: ``post`` sends a text to the host, what is returned takes the host's texts."""
    border = Border(post)
    tab = Tab(border, has_handler=has_handler)
    border.serve(
        {
            "run": tab.run,
            "resume": tab.resume,
            "replay": tab.replay,
            "describe": tab.describe,
            "history": tab.history,
        }
    )
    return border.receive


class Tab:
    """The engine of one tab: what the page may ask of it."""

    def __init__(self, border: Border, *, has_handler: bool = False) -> None:
        self._border = border
        self._backend = HandlerBackend(border) if has_handler else WllamaBackend(border)

    async def run(self, params: Mapping[str, Any], emit: Emit) -> Any:
        """Run an agent's text; gives the last event. Raises WorkflowInvalid, InputInvalid, RunIdTaken."""
        workflow = _workflow(params["text"], params)
        run_id: str = params.get("runId") or new_run_id()
        async with create_run(self._border, run_id, keep=params.get("keep", True)) as log:
            events = engine_run.run(
                workflow,
                params.get("input"),
                log=log,
                seed=params.get("seed"),
                variables=params.get("variables"),
                ask=self._asker(params),
                actions=BUILTIN_ACTIONS,
                backends=TabBackends(self._backend, log.settled),
                ports=self._ports(params),
                permissions=_permissions(params),
            )
            return await _told(events, emit)

    async def resume(self, params: Mapping[str, Any], emit: Emit) -> Any:
        """Go on with a kept run; gives the last event. Raises RunNotFound, RunBusy, InputInvalid."""
        async with open_run(self._border, params["runId"]) as log:
            events = engine_run.resume(
                _logged_workflow(log, params),
                log,
                answer=params.get("answer"),
                ask=self._asker(params),
                actions=BUILTIN_ACTIONS,
                backends=TabBackends(self._backend, log.settled),
                ports=self._ports(params),
                permissions=_permissions(params),
            )
            return await _told(events, emit)

    async def replay(self, params: Mapping[str, Any], emit: Emit) -> Any:
        """Repeat a kept run from its log, without a model; gives the last event."""
        async with open_run(self._border, params["runId"]) as log:
            workflow = _logged_workflow(log, {"allowCode": True})  # nothing is run: code stays text
            return await _told(engine_run.replay(workflow, log, actions=BUILTIN_ACTIONS), emit)

    async def describe(self, params: Mapping[str, Any], emit: Emit) -> Any:
        """An agent as data, to be drawn: name, input_schema, nodes, edges. Raises WorkflowInvalid."""
        del emit
        import json

        from the_edge_agent.workflow.render import render_workflow

        return json.loads(render_workflow(_workflow(params["text"], params), "json"))

    async def history(self, params: Mapping[str, Any], emit: Emit) -> Any:
        """What a kept run has come to: status, open questions, the agent's text and its input."""
        del emit
        async with open_run(self._border, params["runId"]) as log:
            history = read_history(log.records())
        kept = history.head["workflow"]
        return {
            "status": history.status,
            "workflow": kept["name"],
            "text": kept["text"],
            "input": history.head["input"],
            "questions": list(history.open_questions.values()),
        }

    def _asker(self, params: Mapping[str, Any]) -> Asker | None:
        if not params.get("asks"):
            return None
        call: int = params["asks"]

        async def ask(question: JsonObject) -> JsonValue:
            return await self._border.call("page.ask", {"call": call, "question": question})

        return ask

    def _ports(self, params: Mapping[str, Any]) -> Ports:
        code = None
        if params.get("allowCode"):
            from the_edge_agent.adapters.inline_code import InlineCode

            code = InlineCode()
        return Ports(memory=TabMemory(self._border), code=code, secrets=params.get("secrets"))


async def _told(events: AsyncGenerator[Event], emit: Emit) -> Any:
    """Tell all events; the last one is the result as well."""
    last: Any = None
    async with aclosing(events):
        async for event in events:
            last = event.to_json()
            emit(last)
    return last


def _workflow(text: Any, params: Mapping[str, Any]) -> Workflow:
    if not isinstance(text, str):
        raise UsageError("the agent is no text", fix="pass the YAML as a string")
    workflow = parse_workflow(
        text, file=params.get("file") or "agent.yaml", allow_code=bool(params.get("allowCode"))
    )
    return streaming(workflow) if params.get("watchTokens") else workflow


def _logged_workflow(log: KeptRun, params: Mapping[str, Any]) -> Workflow:
    kept = read_history(log.records()).head["workflow"]
    return _workflow(kept["text"], {**params, "file": kept["file"]})


def _permissions(params: Mapping[str, Any]) -> Permissions:
    return Permissions(code=bool(params.get("allowCode")))
