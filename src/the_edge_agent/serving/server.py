"""The daemon as a process: configuration, sockets, core, edges, signals, from start to exit code. The composition root.

SIGTERM (or SIGINT) drains and ends with 0; a second one stops at once. SIGHUP reads the configuration again. The listeners
are open before the models are loaded, and /health says 503 until the boot check has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from the_edge_agent.errors import EdgeAgentError, SettingInvalid
from the_edge_agent.runtime.config import RuntimeConfig, load_config
from the_edge_agent.runtime.daemon import Daemon
from the_edge_agent.serving.access import Access, resolve_access
from the_edge_agent.serving.agent_runs import AgentRuns
from the_edge_agent.serving.http import HttpApp, Site
from the_edge_agent.serving.listeners import Listener, bind_tcp
from the_edge_agent.serving.routes_agents import AGENT_ROUTES
from the_edge_agent.serving.routes_edge import EDGE_ROUTES
from the_edge_agent.serving.routes_ollama import OLLAMA_ROUTES
from the_edge_agent.serving.routes_openai import OPENAI_ROUTES
from the_edge_agent.serving.systemd import Notifier, activated_sockets
from the_edge_agent.serving.unix_socket import own_socket
from the_edge_agent.settings import Environment

log = logging.getLogger("the_edge_agent.serving")

ROUTES = {**EDGE_ROUTES, **OPENAI_ROUTES, **OLLAMA_ROUTES, **AGENT_ROUTES}


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The command line. What is None is the configuration's."""

    config_path: Path | None = None
    bind: str | None = None
    http_port: int | None = None
    grpc_port: int | None = None
    socket_path: Path | None = None
    offline: bool = False
    announce: Callable[[str], None] = lambda _: None
    """Told what a person should know: addresses, readiness."""


def resolve_config(options: ServeOptions) -> RuntimeConfig:
    """The file's configuration with the command line's words over it. Raises ConfigInvalid."""
    config = load_config(options.config_path) if options.config_path else RuntimeConfig()
    http, grpc = config.http, config.grpc
    if options.bind is not None:
        http, grpc = replace(http, host=options.bind), replace(grpc, host=options.bind)
    if options.http_port is not None:
        http = replace(http, port=options.http_port, enabled=True)
    if options.grpc_port is not None:
        grpc = replace(grpc, port=options.grpc_port, enabled=True)
    return replace(config, http=http, grpc=grpc, offline=config.offline or options.offline)


def socket_path(options: ServeOptions, config: RuntimeConfig, environment: Environment) -> Path:
    """Where the Unix socket is."""
    if options.socket_path is not None:
        return options.socket_path.absolute()
    return (
        Path(config.socket).expanduser().absolute()
        if config.socket
        else environment.runtime_socket.absolute()
    )


async def serve(options: ServeOptions, environment: Environment) -> int:
    """Serve until told to stop; the exit code.

    Raises:
        ConfigInvalid, SettingInvalid: it can't be started like that.
        BackendUnavailable: another daemon is serving, or the boot check failed.
        EdgeAgentError: an operational model can't be loaded.
    """
    config = resolve_config(options)
    _allow_descriptors(4 * config.limits.connections + 1024)
    return await _Server(options, environment, config).run()


class _Server:
    def __init__(self, options: ServeOptions, environment: Environment, config: RuntimeConfig) -> None:
        self._options = options
        self._environment = environment
        self._config = config
        self._notifier = Notifier(environment.environ)
        self._stops = 0
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._listeners: list[Listener] = []
        self._runs: AgentRuns | None = None

    async def run(self) -> int:
        config, environment = self._config, self._environment
        access = {
            name: resolve_access(
                listen.host,
                config.api_key_env,
                environment.environ,
                config.allowed_hosts,
                config.allowed_origins,
            )
            for name, listen in (("http", config.http), ("grpc", config.grpc))
            if listen.enabled
        }
        async with AsyncExitStack() as stack:
            activated = activated_sockets(environment.environ)
            unix = [s for s in activated if s.family == socket.AF_UNIX]
            tcp = [s for s in activated if s.family != socket.AF_UNIX]
            if not unix:
                unix = [stack.enter_context(own_socket(socket_path(self._options, config, environment)))]
            if not tcp and config.http.enabled:
                tcp = [_bind(config.http.host, config.http.port, "http")]
            daemon = await stack.enter_async_context(Daemon(config, environment))
            self._catch_signals(daemon)
            socket_of_ours = Path(str(unix[0].getsockname()))
            self._runs = await stack.enter_async_context(
                AgentRuns(config.agents, environment, socket_of_ours)
            )
            for listening in unix:
                await self._listen(daemon, Access(trusted=True), listening)
            for listening in tcp:
                await self._listen(daemon, access.get("http") or Access(), listening)
            grpc_port = 0
            if config.grpc.enabled:
                grpc_port = await self._listen_grpc(stack, daemon, access["grpc"])
            self._announce_addresses(unix, grpc_port)
            return await self._serve(daemon)

    async def _serve(self, daemon: Daemon) -> int:
        booting = asyncio.create_task(daemon.boot())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((booting, stopping), return_when=asyncio.FIRST_COMPLETED)
        try:
            if booting.done():
                said = booting.result()
                self._options.announce(f"ready: the boot check was answered {said!r}" if said else "ready")
                self._notifier.tell("READY=1", "STATUS=ready")
                watchdog = asyncio.create_task(self._feed_watchdog())
                await stopping
                watchdog.cancel()
        finally:
            booting.cancel()
            stopping.cancel()
            await asyncio.gather(booting, return_exceptions=True)
            await self._shut_down(daemon)
        return 0

    async def _shut_down(self, daemon: Daemon) -> None:
        self._notifier.tell("STOPPING=1", "STATUS=draining")
        daemon.ready = False
        draining = asyncio.create_task(daemon.manager.drain(daemon.config.shutdown_s))
        forced = asyncio.create_task(self._force.wait())
        await asyncio.wait((draining, forced), return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        forced.cancel()
        grace_s = 0.0 if self._force.is_set() else 1.0
        await asyncio.gather(
            *(listener.close(grace_s) for listener in self._listeners), draining, return_exceptions=True
        )

    async def _listen(self, daemon: Daemon, access: Access, listening: socket.socket) -> None:
        limits = self._config.limits
        site = Site(daemon, access, self._ask_to_stop, self._runs)
        listener = Listener(
            HttpApp(site, ROUTES),
            listening,
            connections=limits.connections,
            header_timeout_s=limits.header_timeout_s,
        )
        await listener.open()
        self._listeners.append(listener)

    async def _listen_grpc(self, stack: AsyncExitStack, daemon: Daemon, access: Access) -> int:
        from the_edge_agent.serving.grpc_server import open_grpc

        return await stack.enter_async_context(
            open_grpc(daemon, access, self._config.grpc, self._config.limits, self._ask_to_stop)
        )

    def _announce_addresses(self, unix: list[socket.socket], grpc_port: int) -> None:
        announce, config = self._options.announce, self._config
        for listener in self._listeners:
            if listener.port:
                announce(f"HTTP on http://{config.http.host}:{listener.port}")
        if grpc_port:
            announce(f"gRPC on {config.grpc.host}:{grpc_port}")
        for listening in unix:
            announce(f"Unix socket {listening.getsockname()}")

    # Signals.

    def _ask_to_stop(self, force: bool) -> None:
        self._stops += 2 if force else 1
        self._stop.set()
        if self._stops >= 2:
            self._force.set()

    def _catch_signals(self, daemon: Daemon) -> None:
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self._ask_to_stop, False)
        loop.add_signal_handler(signal.SIGHUP, self._reload, daemon)

    def _reload(self, daemon: Daemon) -> None:
        if self._options.config_path is None:
            log.warning("SIGHUP: there is no configuration file to read again")
            return
        try:
            done = daemon.reload(resolve_config(self._options))
        except EdgeAgentError as error:
            log.error("the configuration stays as it was: %s", error)  # noqa: TRY400 - a typo needs no traceback
            return
        log.info("configuration read again: %s", "; ".join(done) or "nothing has changed")

    async def _feed_watchdog(self) -> None:
        """The event loop turns, so we are alive; a loop that is stuck doesn't get here."""
        while self._notifier.watchdog_s:
            self._notifier.tell("WATCHDOG=1")
            await asyncio.sleep(self._notifier.watchdog_s / 3)


def _allow_descriptors(wanted: int) -> None:
    """As many open files as the system lets us have, up to ``wanted``: the usual 1024 are fewer than the connections allowed,
    and without any left nobody is answered, the operator included.
    """
    try:
        import resource
    except ImportError:  # no POSIX
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bind(host: str, port: int, place: str) -> socket.socket:
    with contextlib.suppress(OSError):
        return bind_tcp(host, port)
    raise SettingInvalid(
        f"{host}:{port} can't be listened on",
        place=f"{place}.port",
        fix=f"something else may use it: choose another with --{place}-port",
    )
