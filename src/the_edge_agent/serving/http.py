"""The daemon's HTTP application: checks who calls, finds the route, answers, and counts. ASGI; knows nothing of sockets.

Handlers stand in ``routes_*``; each takes an Exchange and the Site. Whatever a handler raises becomes a response here, once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from the_edge_agent.errors import BackendUnavailable, EdgeAgentError
from the_edge_agent.runtime.daemon import Daemon
from the_edge_agent.runtime.span import parse_traceparent
from the_edge_agent.runtime.telemetry import current_parent
from the_edge_agent.serving.access import Access
from the_edge_agent.serving.agent_runs import AgentRuns
from the_edge_agent.serving.exchange import BodyLimits, ClientGone, Exchange, Receive, Scope, Send

log = logging.getLogger("the_edge_agent.serving")

#: Paths that tell nothing and may be asked without a key: a probe's, and the page that then asks for one.
OPEN_PATHS = frozenset({"/health", "/", "/api/version"})


@dataclass(slots=True)
class Site:
    """What every handler may use."""

    daemon: Daemon
    access: Access
    request_stop: Callable[[bool], None] = lambda _: None
    runs: AgentRuns | None = None

    @property
    def limits(self) -> BodyLimits:
        """What a body may be, as configured now."""
        limits = self.daemon.config.limits
        return BodyLimits(limits.body_bytes, limits.json_depth, limits.header_timeout_s)


Handler = Callable[[Exchange, Site], Awaitable[None]]
Routes = Mapping[tuple[str, str], Handler]


def find_handler(routes: Routes, method: str, path: str) -> tuple[Handler | None, bool]:
    """The handler of a path, and whether the path exists for other methods. A route that ends in ``/*`` takes what is below."""
    method = "GET" if method == "HEAD" else method
    handler = routes.get((method, path))
    if handler is not None:
        return handler, True
    prefixes = {(verb, route[:-1]): found for (verb, route), found in routes.items() if route.endswith("/*")}
    for (verb, prefix), found in prefixes.items():
        if verb == method and path.startswith(prefix) and len(path) > len(prefix):
            return found, True
    known = any(route == path for _, route in routes) or any(
        path.startswith(prefix) and len(path) > len(prefix) for _, prefix in prefixes
    )
    return None, known


class HttpApp:
    """The ASGI application of one listener."""

    def __init__(self, site: Site, routes: Routes) -> None:
        self._site = site
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        if traceparent := exchange.headers.get("traceparent"):
            current_parent.set(parse_traceparent(traceparent))
        try:
            await self._answer(exchange)
        except ClientGone:
            log.debug("%s %s: the client left", exchange.method, exchange.path)
        except asyncio.CancelledError:  # by the listener, at the daemon's end: nobody is left to hear of it
            log.info("%s %s was cut off: the daemon stops", exchange.method, exchange.path)
            if not exchange.status:
                await exchange.respond_error(_stopping())
        except EdgeAgentError as error:
            if not exchange.status:
                await exchange.respond_error(error)
        except Exception:
            log.exception("%s %s failed", exchange.method, exchange.path)
            if not exchange.status:
                await exchange.respond_error(
                    EdgeAgentError("the daemon failed; its log has the reason", place="daemon")
                )

    async def _answer(self, exchange: Exchange) -> None:
        access = self._site.access
        if not access.trusted:
            access.check_host(exchange.headers, exchange.server_address)
        origin = access.check_origin(exchange.headers)
        if origin:
            exchange.extra_headers |= {"access-control-allow-origin": origin, "vary": "Origin"}
        if exchange.method == "OPTIONS":
            allowed = {"access-control-allow-methods": "GET, POST, DELETE", "access-control-max-age": "600"}
            allowed["access-control-allow-headers"] = "authorization, content-type, x-api-key"
            await exchange.respond(204, b"", "text/plain", allowed if origin else {})
            return
        if exchange.path not in OPEN_PATHS:
            access.check_key(exchange.headers)
        handler, known = find_handler(self._routes, exchange.method, exchange.path)
        if handler is None:
            status, what = (405, "no such method here") if known else (404, "no such path")
            error = {
                "message": f"{exchange.method} {exchange.path[:200]}: {what}",
                "type": "invalid_request_error",
            }
            await exchange.respond_json({"error": {**error, "param": None, "code": "not_found"}}, status)
            return
        await handler(exchange, self._site)


def _stopping() -> BackendUnavailable:
    return BackendUnavailable("the daemon is stopping", place="daemon", fix="ask again when it is back")
