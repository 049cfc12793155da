"""The daemon's own routes: health, metrics, the status page, and /edge/v1 for the command line and the runtime backend.

/edge/v1/chat streams our own chunks as NDJSON, ids and all, so that a client can take a stream up again after a restart.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import cache
from importlib import resources
from typing import Any

from the_edge_agent import __version__
from the_edge_agent.backends.runtime_answers import (
    chunk_to_json,
    embeddings_to_json,
    error_to_json,
    info_to_json,
)
from the_edge_agent.backends.runtime_fields import plain_json
from the_edge_agent.backends.runtime_requests import parse_chat_request, parse_embed_request
from the_edge_agent.errors import PermissionDenied
from the_edge_agent.inference import BackendInfo
from the_edge_agent.runtime.daemon import Answer, Ask
from the_edge_agent.serving.exchange import Exchange, StreamFormat, to_json
from the_edge_agent.serving.fields import check_schema_size, flag_field, text_field, texts_field, whole_field
from the_edge_agent.serving.http import Routes, Site
from the_edge_agent.serving.metrics import model_tree, prometheus_text, status_tree

CHUNKS = StreamFormat(
    "application/x-ndjson", b"\n", lambda error: to_json({"error": error_to_json(error)}) + b"\n"
)
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


async def health(exchange: Exchange, site: Site) -> None:
    """GET /health: 200 when the boot check has passed, 503 before, and while an operational model is failed."""
    daemon = site.daemon
    tree = {"status": daemon.health, "version": __version__}
    tree["uptime_s"] = str(round(time.time() - daemon.started_at_s))
    await exchange.respond_json(tree, 200 if tree["status"] == "ok" else 503)


async def metrics(exchange: Exchange, site: Site) -> None:
    """GET /metrics."""
    await exchange.respond(
        200, prometheus_text(site.daemon).encode(), "text/plain; version=0.0.4; charset=utf-8"
    )


async def page(exchange: Exchange, site: Site) -> None:
    """GET /: the status page, with everything it needs in it."""
    del site
    headers = {
        "content-security-policy": PAGE_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    await exchange.respond(200, _page(), "text/html; charset=utf-8", headers)


async def status(exchange: Exchange, site: Site) -> None:
    """GET /edge/v1/status."""
    await exchange.respond_json(status_tree(site.daemon))


async def chat(exchange: Exchange, site: Site) -> None:
    """POST /edge/v1/chat: our own request in, our own chunks out, a line each."""
    body = await exchange.json(site.limits)
    request = parse_chat_request(body.get("request"))
    schema_bytes = site.daemon.config.limits.schema_bytes
    check_schema_size(plain_json(request.response_format.schema), schema_bytes, "request.response_format")
    for tool in request.tools:
        check_schema_size(plain_json(tool.parameters), schema_bytes, f"request.tools.{tool.name}")
    priority = whole_field(body, "priority") or 0
    ask = Ask(request, priority, flag_field(body, "escalate"), texts_field(body, "must_contain"))
    answer = site.daemon.answer(ask)
    exchange.extra_headers["x-tea-route"] = answer.route.reason.encode("ascii", "replace").decode()
    await exchange.stream(_chunks(answer), CHUNKS)


async def embed(exchange: Exchange, site: Site) -> None:
    """POST /edge/v1/embed."""
    body = await exchange.json(site.limits)
    embeddings = await exchange.while_present(site.daemon.embed(parse_embed_request(body.get("request"))))
    await exchange.respond_json(embeddings_to_json(embeddings))


async def count(exchange: Exchange, site: Site) -> None:
    """POST /edge/v1/count."""
    body = await exchange.json(site.limits)
    tokens = await exchange.while_present(site.daemon.count_tokens(parse_chat_request(body.get("request"))))
    await exchange.respond_json({"tokens": tokens})


async def describe(exchange: Exchange, site: Site) -> None:
    """GET /edge/v1/describe: who would answer ``auto`` at the operational level."""
    daemon = site.daemon
    names = [model.name for model in daemon.registered()]
    info = daemon.manager.info(names[0]) if names else BackendInfo("runtime", "")
    await exchange.respond_json(info_to_json(info))


async def load(exchange: Exchange, site: Site) -> None:
    """POST /edge/v1/load: wait until the model answers."""
    name = text_field(await exchange.json(site.limits), "model")
    await exchange.while_present(site.daemon.load(name))
    await exchange.respond_json(model_tree(site.daemon, name))


async def preload(exchange: Exchange, site: Site) -> None:
    """POST /edge/v1/preload: models that will be asked soon, in order; doesn't wait."""
    site.daemon.preload(texts_field(await exchange.json(site.limits), "models"))
    await exchange.respond_json({"ok": True})


async def unload(exchange: Exchange, site: Site) -> None:
    """POST /edge/v1/unload: wait until the model's worker is gone."""
    name = text_field(await exchange.json(site.limits), "model")
    await exchange.while_present(site.daemon.unload(name))
    await exchange.respond_json(model_tree(site.daemon, name))


async def logs(exchange: Exchange, site: Site) -> None:
    """GET /edge/v1/logs/NAME: what the model's worker wrote last."""
    lines = site.daemon.manager.log_lines(exchange.path.removeprefix("/edge/v1/logs/"))
    await exchange.respond_json({"lines": list(lines)})


async def stop(exchange: Exchange, site: Site) -> None:
    """POST /edge/v1/stop: only through the Unix socket, or with a key."""
    access = site.access
    if not (access.trusted or access.keys):
        raise PermissionDenied(
            "stopping needs the Unix socket or an API key",
            place="stop",
            fix="run `tea runtime stop` as the daemon's user",
        )
    force = flag_field(await exchange.json(site.limits), "force")
    await exchange.respond_json({"pid": os.getpid()})
    site.request_stop(force)


async def _chunks(answer: Answer) -> AsyncIterator[bytes]:
    chunks: Any = answer.chunks
    async with aclosing(chunks):
        async for chunk in chunks:
            tree = chunk_to_json(chunk)
            if chunk.finish_reason is not None:
                tree |= {"model": answer.route.target.name, "route_reason": answer.route.reason}
            yield to_json(tree) + b"\n"


@cache
def _page() -> bytes:
    return resources.files("the_edge_agent.serving").joinpath("page.html").read_bytes()


EDGE_ROUTES: Routes = {
    ("GET", "/"): page,
    ("GET", "/health"): health,
    ("GET", "/metrics"): metrics,
    ("GET", "/edge/v1/status"): status,
    ("GET", "/edge/v1/describe"): describe,
    ("GET", "/edge/v1/logs/*"): logs,
    ("POST", "/edge/v1/chat"): chat,
    ("POST", "/edge/v1/embed"): embed,
    ("POST", "/edge/v1/count"): count,
    ("POST", "/edge/v1/load"): load,
    ("POST", "/edge/v1/preload"): preload,
    ("POST", "/edge/v1/unload"): unload,
    ("POST", "/edge/v1/stop"): stop,
}
