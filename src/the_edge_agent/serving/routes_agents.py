"""Workflows over HTTP: /v1/agents, /v1/agents/NAME/runs and what is below a run: events, resume, cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from the_edge_agent.errors import ActionParamsInvalid, RunNotFound
from the_edge_agent.serving.agent_runs import AgentRun, AgentRuns
from the_edge_agent.serving.exchange import Exchange, to_json
from the_edge_agent.serving.fields import flag_field, object_field, text_field
from the_edge_agent.serving.http import Routes, Site
from the_edge_agent.serving.routes_openai import SSE

PREFIX = "/v1/agents/"


async def agents(exchange: Exchange, site: Site) -> None:
    """GET /v1/agents."""
    names = list(site.runs.files) if site.runs else []
    await exchange.respond_json(
        {"object": "list", "data": [{"id": name, "object": "agent"} for name in names]}
    )


async def post(exchange: Exchange, site: Site) -> None:
    """POST /v1/agents/NAME/runs, and .../runs/ID/resume and .../runs/ID/cancel."""
    runs, agent, run_id, verb = _parts(exchange, site)
    body = await exchange.json(site.limits)
    if not run_id:
        run = await runs.start(agent, object_field(body, "input"), text_field(body, "run_id"))
    elif verb == "resume":
        run = await runs.resume(agent, run_id, body.get("answer"))
    elif verb == "cancel":
        run = await runs.cancel(agent, run_id)
    else:
        raise RunNotFound(
            f"nothing is at {exchange.path!r:.200}", place="agents", fix="POST to resume or cancel"
        )
    if flag_field(body, "stream"):
        await exchange.stream(_events(run, 0), SSE)
    else:
        await exchange.respond_json(_tree(run), 202 if run.status == "running" else 200)


async def get(exchange: Exchange, site: Site) -> None:
    """GET /v1/agents/NAME/runs/ID, and .../events as server-sent events (Last-Event-ID goes on behind that one)."""
    runs, agent, run_id, verb = _parts(exchange, site)
    run = runs.find(agent, run_id)
    if verb == "events":
        last = exchange.headers.get("last-event-id", "")
        await exchange.stream(_events(run, int(last) + 1 if last.isascii() and last.isdecimal() else 0), SSE)
    elif verb:
        raise RunNotFound(f"nothing is at {exchange.path!r:.200}", place="agents", fix="GET events")
    else:
        await exchange.respond_json(_tree(run))


def _parts(exchange: Exchange, site: Site) -> tuple[AgentRuns, str, str, str]:
    """``NAME/runs[/ID[/VERB]]`` taken apart."""
    parts = exchange.path.removeprefix(PREFIX).split("/")
    if site.runs is None or len(parts) not in (2, 3, 4) or parts[1] != "runs" or not all(parts):
        raise RunNotFound(
            f"nothing is at {exchange.path!r:.200}", place="agents", fix="POST /v1/agents/NAME/runs"
        )
    agent, _, run_id, verb = (*parts, "", "")[:4]
    if any(character in "\\\0" for character in exchange.path) or ".." in parts:
        raise ActionParamsInvalid("a run's id is a plain name", place="agents")
    return site.runs, agent, run_id, verb


def _tree(run: AgentRun) -> dict[str, Any]:
    last = run.events[-1] if run.events else {}
    tree: dict[str, Any] = {"id": run.run_id, "object": "agent.run", "agent": run.agent, "status": run.status}
    tree["events"] = f"{PREFIX}{run.agent}/runs/{run.run_id}/events"
    tree |= {name: last[name] for name in ("state", "error", "question") if name in last}
    return tree


async def _events(run: AgentRun, start: int) -> AsyncIterator[bytes]:
    reading: Any = run.read(start)
    async with aclosing(reading):
        async for number, event in reading:
            yield b"id: %d\nevent: %b\ndata: %b\n\n" % (number, str(event["type"]).encode(), to_json(event))


_handlers: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/v1/agents", agents),
    ("GET", "/v1/agents/*", get),
    ("POST", "/v1/agents/*", post),
)
AGENT_ROUTES: Routes = {(method, path): handler for method, path, handler in _handlers}
