"""gRPC over the same core: AIRuntime, InferenceService, health and reflection on one port.

Browsers can't speak gRPC, so there is no Origin to check; keys hold here as they do over HTTP. Knows nothing of routes' reasons,
queues or workers beyond what the core says.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from the_edge_agent import __version__
from the_edge_agent.errors import ActionParamsInvalid, EdgeAgentError, PermissionDenied, SettingInvalid
from the_edge_agent.inference import collect
from the_edge_agent.runtime.config import LimitsConfig, ListenConfig, ModelConfig
from the_edge_agent.runtime.daemon import Daemon
from the_edge_agent.runtime.span import parse_traceparent
from the_edge_agent.runtime.telemetry import current_parent
from the_edge_agent.serving.access import Access
from the_edge_agent.serving.grpc_wire import (
    STOP_REASONS,
    ask_of_complete,
    ask_of_infer,
    one_line,
    readable,
    reader_of,
)
from the_edge_agent.serving.messages import aios, edge
from the_edge_agent.serving.status_codes import retry_after_s, status_of

log = logging.getLogger("the_edge_agent.serving")

AIOS = "aios.runtime.AIRuntime"
EDGE = "edge_agent.inference.v1.InferenceService"
#: AIRuntime's words for the phases.
STATES = {"unloaded": "unloaded", "loading": "loading", "ready": "ready", "stopping": "unloading"}

#: What a client hears of a mistake of ours.
_FAILED = EdgeAgentError("the daemon failed; its log has the reason", place="daemon")

Context = Any
Unary = Callable[[Any, Context], Awaitable[Any]]
Streaming = Callable[[Any, Context], AsyncIterator[Any]]


@asynccontextmanager
async def open_grpc(
    daemon: Daemon,
    access: Access,
    listen: ListenConfig,
    limits: LimitsConfig,
    request_stop: Callable[[bool], None],
) -> AsyncGenerator[int]:
    """Serve for the length of the block; yields the port. Raises SettingInvalid where the port is taken."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limits.body_bytes),
            ("grpc.max_concurrent_streams", limits.connections),
            ("grpc.so_reuseport", 0),
        ]
    )
    services = Services(daemon, access, limits, request_stop)
    for name, handlers in services.handlers().items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    healthy: Any = cast("Any", health).aio.HealthServicer()
    cast("Any", health_pb2_grpc).add_HealthServicer_to_server(healthy, server)
    await _tell_health(healthy, health_pb2.HealthCheckResponse.NOT_SERVING)
    reflection.enable_server_reflection((AIOS, EDGE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    try:
        port = server.add_insecure_port(f"{host}:{listen.port}")
    except RuntimeError:
        port = 0
    if not port:
        raise SettingInvalid(
            f"{listen.host}:{listen.port} can't be listened on",
            place="grpc.port",
            fix="choose another with --grpc-port",
        )
    await server.start()
    waiting = asyncio.create_task(_serve_when_ready(daemon, healthy))
    try:
        yield port
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await healthy.enter_graceful_shutdown()
        await server.stop(1.0)


async def _serve_when_ready(daemon: Daemon, healthy: Any) -> None:
    """Probes hear SERVING once the boot check has passed, as /health says 200 then."""
    await daemon.wait_ready()
    await _tell_health(healthy, health_pb2.HealthCheckResponse.SERVING)


async def _tell_health(healthy: Any, status: Any) -> None:
    for name in ("", AIOS, EDGE):
        await healthy.set(name, status)


class Services:
    """Both services' methods."""

    def __init__(
        self, daemon: Daemon, access: Access, limits: LimitsConfig, request_stop: Callable[[bool], None]
    ) -> None:
        self._daemon = daemon
        self._access = access
        self._limits = limits
        self._request_stop = request_stop

    def handlers(self) -> dict[str, dict[str, Any]]:
        """Method handlers by service."""
        return {
            AIOS: {
                "LoadModel": self._unary(self.load_model, aios.LoadModelRequest),
                "UnloadModel": self._unary(self.unload_model, aios.UnloadModelRequest),
                "ListModels": self._unary(self.list_models, aios.Empty),
                "Infer": self._unary(self.infer, aios.InferRequest),
                "StreamInfer": self._stream(self.stream_infer, aios.InferRequest),
                "HealthCheck": self._unary(self.health_check, aios.Empty),
            },
            EDGE: {
                "Complete": self._unary(self.complete, edge.CompleteRequest),
                "StreamComplete": self._stream(self.stream_complete, edge.CompleteRequest),
                "GetStatus": self._unary(self.get_status, edge.GetStatusRequest),
                "Shutdown": self._unary(self.shutdown, edge.ShutdownRequest),
            },
        }

    # AIRuntime.

    async def load_model(self, request: Any, _: Context) -> Any:
        """Load what is on offer, or the file at ``model_path`` where its folder is allowed."""
        if request.port:
            raise ActionParamsInvalid("workers have no port here", place="port", fix="leave it 0")
        defaults = ModelConfig()
        model = replace(
            defaults,
            n_ctx=request.context_length or None,
            n_gpu_layers=request.gpu_layers,
            n_threads=request.threads or None,
        )
        if not -1 <= model.n_gpu_layers <= 10_000 or (model.n_ctx or 32) < 32 or (model.n_threads or 1) < 1:
            raise ActionParamsInvalid(
                "context_length, gpu_layers or threads is out of range", place="LoadModel"
            )
        await self._daemon.load(request.model_name, path=request.model_path, model=model)
        return self._model_status(request.model_name)

    async def unload_model(self, request: Any, _: Context) -> Any:
        """Drain and stop it."""
        now = await self._daemon.unload(request.model_name)
        return aios.Status(success=True, message=f"{now.name}'s worker is gone; the model is {now.phase} now")

    async def list_models(self, request: Any, _: Context) -> Any:
        """Every model on offer, operational ones first."""
        del request
        return aios.ModelList(models=[self._model_status(model.name) for model in self._daemon.registered()])

    async def infer(self, request: Any, _: Context) -> Any:
        """A whole answer."""
        began_s = time.monotonic()
        ask = ask_of_infer(request, depth=self._limits.json_depth, schema_bytes=self._limits.schema_bytes)
        answer = self._daemon.answer(ask)
        done = await collect(answer.chunks)
        return aios.InferResponse(
            text=_utf8(done.text),
            tokens_used=done.usage.prompt_tokens + done.usage.completion_tokens,
            latency_ms=int((time.monotonic() - began_s) * 1000),
            model_used=answer.route.target.name,
            finish_reason=done.finish_reason,
            route_reason=answer.route.reason,
            tool_calls=[aios.ToolCall(id=c.id, name=c.name, arguments=c.arguments) for c in done.tool_calls],
            prompt_tokens=done.usage.prompt_tokens,
            completion_tokens=done.usage.completion_tokens,
        )

    async def stream_infer(self, request: Any, _: Context) -> AsyncIterator[Any]:
        """The answer as it comes; the last chunk is ``done``."""
        ask = ask_of_infer(request, depth=self._limits.json_depth, schema_bytes=self._limits.schema_bytes)
        answer = self._daemon.answer(ask)
        chunks: Any = answer.chunks
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.finish_reason is None:
                    if chunk.text:
                        yield aios.InferChunk(text=_utf8(chunk.text))
                    continue
                usage = chunk.usage
                yield aios.InferChunk(
                    text=_utf8(chunk.text),
                    done=True,
                    finish_reason=chunk.finish_reason,
                    route_reason=answer.route.reason,
                    tool_calls=[
                        aios.ToolCall(id=c.id, name=c.name, arguments=c.arguments) for c in chunk.tool_calls
                    ],
                    prompt_tokens=usage.prompt_tokens if usage else 0,
                    completion_tokens=usage.completion_tokens if usage else 0,
                    model_used=answer.route.target.name,
                )

    async def health_check(self, request: Any, _: Context) -> Any:
        """Whether the boot check has passed and no operational model is failed."""
        del request
        daemon = self._daemon
        state = daemon.health
        details = {status.name: status.phase for status in daemon.manager.statuses()}
        return aios.HealthStatus(
            healthy=state == "ok",
            service="the-edge-agent",
            message="ready" if state == "ok" else state,
            uptime_seconds=int(time.time() - daemon.started_at_s),
            details={**details, "version": __version__, "queue": str(daemon.manager.queue_length)},
        )

    def _model_status(self, name: str) -> Any:
        status = self._daemon.manager.status(name)
        return aios.ModelStatus(
            model_name=name,
            status=STATES.get(status.phase, "error"),
            loaded_at=int(status.loaded_at_s),
            last_used=int(status.last_used_at_s),
            request_count=status.requests,
            memory_bytes=status.size_bytes if status.pid else 0,
            level=self._daemon.level(name),
            failure=status.failure,
        )

    # InferenceService.

    async def complete(self, request: Any, _: Context) -> Any:
        """A whole answer."""
        ask = ask_of_complete(request, depth=self._limits.json_depth, schema_bytes=self._limits.schema_bytes)
        answer = self._daemon.answer(ask)
        done = await collect(answer.chunks)
        return edge.CompleteResponse(
            content=_utf8(done.text),
            tool_calls=[edge.ToolCall(id=c.id, name=c.name, arguments=c.arguments) for c in done.tool_calls],
            stop_reason=STOP_REASONS[done.finish_reason],
            usage=_usage(done.usage),
            model=answer.route.target.name,
            route_reason=answer.route.reason,
            notices=done.notices,
        )

    async def stream_complete(self, request: Any, _: Context) -> AsyncIterator[Any]:
        """The answer as it comes; the last chunk has stop_reason, usage and tool calls."""
        ask = ask_of_complete(request, depth=self._limits.json_depth, schema_bytes=self._limits.schema_bytes)
        answer = self._daemon.answer(ask)
        chunks: Any = answer.chunks
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.finish_reason is None:
                    if chunk.text:
                        yield edge.CompleteChunk(content=_utf8(chunk.text))
                    continue
                yield edge.CompleteChunk(
                    content=_utf8(chunk.text),
                    tool_calls=[
                        edge.ToolCall(id=c.id, name=c.name, arguments=c.arguments) for c in chunk.tool_calls
                    ],
                    stop_reason=STOP_REASONS[chunk.finish_reason],
                    usage=_usage(chunk.usage),
                    model=answer.route.target.name,
                    route_reason=answer.route.reason,
                    notices=chunk.notices,
                )

    async def get_status(self, request: Any, _: Context) -> Any:
        """What the status page shows."""
        del request
        daemon = self._daemon
        manager = daemon.manager
        return edge.GetStatusResponse(
            ready=daemon.ready,
            version=__version__,
            uptime_s=time.time() - daemon.started_at_s,
            queue_length=manager.queue_length,
            tokens_per_s=manager.tokens_per_s(),
            memory_bytes=manager.memory_bytes,
            used_bytes=manager.used_bytes,
            models=[
                edge.Model(
                    name=status.name,
                    level=daemon.level(status.name),
                    state=status.phase,
                    memory_bytes=status.size_bytes if status.pid else 0,
                    active=status.active,
                    waiting=status.waiting,
                    slots=status.slots,
                    n_ctx=status.info.n_ctx,
                    failure=status.failure,
                )
                for status in (manager.status(model.name) for model in daemon.registered())
            ],
        )

    async def shutdown(self, request: Any, _: Context) -> Any:
        """End the daemon; only with an API key, as anybody on this machine reaches the port."""
        if not self._access.keys:
            raise PermissionDenied(
                "stopping over gRPC needs an API key", place="Shutdown", fix="run `tea runtime stop`"
            )
        self._request_stop(not request.graceful)
        return edge.ShutdownResponse(accepted=True)

    # Edges.

    def _unary(self, method: Unary, message: Any) -> Any:
        async def guarded(request: Any, context: Context) -> Any:
            try:
                self._access.check_key(_headers(context))
                _note_parent(context)
                return await method(readable(request, message), context)
            except EdgeAgentError as error:
                await _abort(context, error)
            except Exception:  # what went wrong is for the log, not for the client
                log.exception("a gRPC call failed")
                await _abort(context, _FAILED)

        return grpc.unary_unary_rpc_method_handler(guarded, reader_of(message), _serialize)

    def _stream(self, method: Streaming, message: Any) -> Any:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            _note_parent(context)
            try:
                self._access.check_key(_headers(context))
                answers: Any = method(readable(request, message), context)
                async with aclosing(answers):
                    async for answer in answers:
                        yield answer
            except EdgeAgentError as error:
                await _abort(context, error)
            except Exception:  # as above
                log.exception("a gRPC stream failed")
                await _abort(context, _FAILED)

        return grpc.unary_stream_rpc_method_handler(guarded, reader_of(message), _serialize)


def _serialize(message: Any) -> bytes:
    return message.SerializeToString()


def _headers(context: Context) -> dict[str, str]:
    return {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}


def _note_parent(context: Context) -> None:
    if traceparent := _headers(context).get("traceparent"):
        current_parent.set(parse_traceparent(traceparent))


async def _abort(context: Context, error: EdgeAgentError) -> None:
    """End the call with the table's code; figures and Retry-After as trailing metadata."""
    trailing = [("tea-error", error.name)]
    wait_s = retry_after_s(error)
    if wait_s is not None:
        trailing.append(("retry-after", str(wait_s)))
    trailing += [
        (f"tea-{name}", str(getattr(error, name))) for name in ("needed", "n_ctx") if hasattr(error, name)
    ]
    context.set_trailing_metadata(tuple(trailing))
    await context.abort(grpc.StatusCode[status_of(error).grpc], one_line(str(error)))


def _usage(usage: Any) -> Any:
    if usage is None:
        return edge.Usage()
    return edge.Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
    )


def _utf8(text: str) -> str:
    """Protobuf strings are UTF-8: what isn't (a lone surrogate) becomes U+FFFD."""
    return text.encode("utf-8", "replace").decode("utf-8")
