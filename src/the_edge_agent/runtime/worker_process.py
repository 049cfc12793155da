"""A worker as the daemon owns it: started, watched, asked, stopped, reaped. Knows nothing of queues or other workers.

``async with WorkerProcess.start(spec, timing) as worker`` covers it all: ready on entry; SIGTERM, then SIGKILL to the whole
process group on exit; nothing is left. A worker that dies, hangs or lies raises ``WorkerGone`` from every open stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from the_edge_agent.backends.runtime_answers import parse_chunk, parse_embeddings, parse_error, parse_info
from the_edge_agent.backends.runtime_requests import chat_request_to_json, embed_request_to_json
from the_edge_agent.errors import BackendUnavailable, EdgeAgentError
from the_edge_agent.inference import BackendInfo, ChatRequest, CompletionChunk, Embeddings, EmbedRequest
from the_edge_agent.runtime.config import WorkersConfig
from the_edge_agent.runtime.frames import FrameChannel
from the_edge_agent.runtime.inbox import Inbox
from the_edge_agent.runtime.resident import resident_bytes
from the_edge_agent.runtime.worker_spec import WorkerSpec, file_identity, scrubbed_environment

LOG_LINES = 200
LOG_LINE_CHARACTERS = 500
log = logging.getLogger("the_edge_agent.runtime")


class WorkerGone(BackendUnavailable):
    """The worker is dead, hung or broke the protocol; what it was doing can be done again by another."""


class WorkerProcess:
    """One worker process. Made by ``start``; ``name``, ``pid``, ``info`` and ``log_lines`` are for people."""

    def __init__(self, spec: WorkerSpec, timing: WorkersConfig) -> None:
        self.name = spec.name
        self.info = BackendInfo("local", spec.name)
        self.log_lines: deque[str] = deque(maxlen=LOG_LINES)
        self._spec = spec
        self._timing = timing
        self._channel = FrameChannel(self._receive, self._connection_over)
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[BackendInfo] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._streams: dict[int, Inbox] = {}
        self._next_number = 0
        self.file_identity = file_identity(spec.path)
        """The model's file as it was when this worker was started: a stream is never gone on with from another file."""
        self._pings = self._pongs = 0
        self._ponged = asyncio.Event()
        self._progress = 0
        self._background: list[asyncio.Task[None]] = []
        self._reading: asyncio.Task[None] | None = None
        self._stopping = False

    @classmethod
    async def start(
        cls,
        spec: WorkerSpec,
        timing: WorkersConfig,
        environ: Mapping[str, str],
        *,
        on_process: Callable[[WorkerProcess], None] | None = None,
    ) -> Self:
        """``spawn`` and ``open`` in one. Raises what they raise; nothing is left running then."""
        worker = await cls.spawn(spec, timing, environ)
        if on_process is not None:
            on_process(worker)
        await worker.open(spec, timing)
        return worker

    @classmethod
    async def spawn(cls, spec: WorkerSpec, timing: WorkersConfig, environ: Mapping[str, str]) -> Self:
        """A process as ``spec`` says that has opened nothing yet; ``open`` or ``kill`` it. Raises WorkerGone."""
        worker = cls(spec, timing)
        try:
            await worker._start_process(environ)
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def open(self, spec: WorkerSpec, timing: WorkersConfig) -> None:
        """Have it open the model and wait until it is healthy; ``timing`` holds from now on.

        Raises:
            EdgeAgentError: what the worker said when it couldn't open the model.
            WorkerGone: it died or wasn't healthy within ``load_timeout_s``. It is killed then.
        """
        self._spec, self._timing = spec, timing
        self.name, self.info = spec.name, BackendInfo("local", spec.name)
        self.file_identity = file_identity(spec.path)
        self._channel.send("open", {"path": spec.path, "options": dict(spec.options)})
        try:
            async with asyncio.timeout(self._timing.load_timeout_s):
                self.info = await self._ready
        except TimeoutError:
            await self.kill()
            raise WorkerGone(
                f"it wasn't ready within {self._timing.load_timeout_s:g} s", place=spec.name
            ) from None
        except BaseException:
            await self.kill()
            raise
        self._background.append(asyncio.create_task(self._watch()))

    def warm(self) -> None:
        """Have it do already what opening any model takes, and say when that is done."""
        self._channel.send("warm")
        self._ping()

    async def hangs(self, patience_s: float) -> bool:
        """Whether a process that waits, and has done what ``warm`` asks for, is dead or leaves a ping unanswered."""
        if not self._pongs:
            return self.is_gone  # it is busy with that still
        number = self._ping()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self._pongs < number:
                    self._ponged.clear()
                    await self._ponged.wait()
        return self._pongs < number

    def _ping(self) -> int:
        self._pings += 1
        self._channel.send("ping", self._pings)
        return self._pings

    def is_like(self, spec: WorkerSpec) -> bool:
        """Whether it was started as ``spec`` would be, model aside."""
        return (self._spec.command, self._spec.offline) == (spec.command, spec.offline)

    async def __aenter__(self) -> Self:
        """Itself: ``start`` did the work."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too; 0 before it runs."""
        return self._process.pid if self._process is not None else 0

    @property
    def is_gone(self) -> bool:
        """Whether it is dead or as good as dead."""
        return self._gone.done()

    async def wait_gone(self) -> str:
        """Wait for its end; why it ended, with its exit code and last words."""
        return await asyncio.shield(self._gone)

    def resident_bytes(self) -> int:
        """Memory that it and its children hold now; 0 where the system doesn't tell."""
        return resident_bytes(self.pid)

    # Asking.

    async def chat(self, request: ChatRequest) -> AsyncGenerator[CompletionChunk]:
        """Stream the answer. Closing the iterator cancels the work in the worker. Raises WorkerGone, or its error."""
        number, inbox = self._open_stream()
        finished = False
        try:
            self._channel.send("chat", number, chat_request_to_json(request))
            while True:
                message = await inbox.get()
                match message:
                    case ["text", str(), list()]:
                        yield _merged([message, *inbox.get_same("text")])
                    case ["chunk", dict(tree)]:  # pyright: ignore[reportUnknownVariableType]
                        chunk = parse_chunk(tree)  # pyright: ignore[reportUnknownArgumentType]
                        finished = finished or chunk.finish_reason is not None
                        yield chunk
                    case ["end"]:
                        if not finished:
                            self._distrust("a stream ended without its last chunk")
                            raise WorkerGone("a stream ended without its last chunk", place=self.name)
                        return
                    case _:
                        finished = True
                        raise self._error_of(message)
        finally:
            self._close_stream(number, cancel=not finished)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed texts. Raises WorkerGone, or the worker's error."""
        return parse_embeddings(await self._call("embed", embed_request_to_json(request)))

    async def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens. Raises WorkerGone, or the worker's error."""
        count = await self._call("count", chat_request_to_json(request))
        return count if isinstance(count, int) else 0

    async def _call(self, kind: str, tree: Mapping[str, Any]) -> Any:
        number, inbox = self._open_stream()
        answered = False
        try:
            self._channel.send(kind, number, tree)
            message = await inbox.get()
            answered = True
            if message[0] == "result" and len(message) == 2:
                return message[1]
            raise self._error_of(message)
        finally:
            self._close_stream(number, cancel=not answered)

    def _open_stream(self) -> tuple[int, Inbox]:
        if self.is_gone:
            raise WorkerGone(self._gone.result(), place=self.name)
        self._next_number += 1
        inbox = Inbox()
        self._streams[self._next_number] = inbox
        return self._next_number, inbox

    def _close_stream(self, number: int, *, cancel: bool) -> None:
        self._streams.pop(number, None)
        if cancel and not self.is_gone:
            self._channel.send("cancel", number)

    def _error_of(self, message: list[Any]) -> EdgeAgentError:
        if message[0] == "gone":
            return WorkerGone(str(message[1]), place=self.name)
        if message[0] == "error" and len(message) == 2:
            return parse_error(message[1])
        self._distrust(f"it sent {message[0]!r:.40} where that makes no sense")
        return WorkerGone("it broke the protocol", place=self.name)

    # Hearing.

    def _receive(self, message: list[Any]) -> None:
        match message:
            case ["text" | "chunk" | "end" | "result" | "error" as kind, int(number), *rest]:
                if inbox := self._streams.get(number):
                    inbox.put([kind, *rest])
            case ["pong", int(number), int(progress)]:
                self._pongs = number
                self._progress = progress
                self._ponged.set()
            case ["ready", dict(tree)] if not self._ready.done():  # pyright: ignore[reportUnknownVariableType]
                try:
                    self._ready.set_result(parse_info(tree))  # pyright: ignore[reportUnknownArgumentType]
                except EdgeAgentError as error:
                    self._ready.set_exception(error)
            case ["unready", tree] if not self._ready.done():
                self._ready.set_exception(parse_error(tree))
            case _:
                self._distrust(f"it sent {message[0]!r:.40}, which is not in the protocol")

    def _distrust(self, why: str) -> None:
        """A worker that lies is killed: what else it says can't be believed."""
        if not self.is_gone:
            self.log_lines.append(f"[daemon] {why}")
            self._kill_group()
            self._mark_gone(why)

    def _connection_over(self, why: str) -> None:
        if not self._stopping and "protocol" in why:
            self._distrust(why)
        # else the process is ending: _reap tells how

    def _mark_gone(self, why: str) -> None:
        if self._gone.done():
            return
        self._gone.set_result(why)
        if not self._ready.done():
            self._ready.set_exception(WorkerGone(why, place=self.name))
        for inbox in self._streams.values():
            inbox.put(["gone", why])

    # Starting, watching, stopping.

    async def _start_process(self, environ: Mapping[str, str]) -> None:
        flags = ("--offline",) if self._spec.offline else ()
        with contextlib.ExitStack() as if_it_fails, contextlib.ExitStack() as in_any_case:
            try:
                ours, theirs = socket.socketpair()
                if_it_fails.enter_context(ours)
                in_any_case.enter_context(theirs)
                read_end, write_end = (
                    os.pipe()
                )  # not asyncio's pipe: its wait() would wait for grandchildren too
                log_end = if_it_fails.enter_context(os.fdopen(read_end, "rb", 0))
                their_log = in_any_case.enter_context(os.fdopen(write_end, "wb", 0))
                self._process = await asyncio.create_subprocess_exec(
                    *self._spec.command,
                    str(theirs.fileno()),
                    str(os.getpid()),
                    *flags,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=their_log,
                    stderr=their_log,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env=scrubbed_environment(environ),
                    cwd="/",
                )
            except OSError as error:  # no such program, or no descriptor or process is left to be had
                raise WorkerGone(
                    f"{self._spec.command[0]} can't be started: {error.strerror}", place=self.name
                ) from None
            if_it_fails.pop_all()
        self._reading = asyncio.create_task(self._read_log(log_end))
        self._background += [self._reading, asyncio.create_task(self._reap(self._reading))]
        await asyncio.get_running_loop().create_unix_connection(lambda: self._channel, sock=ours)

    async def _read_log(self, pipe: io.FileIO) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
        try:
            while data := await reader.read(8192):
                for line in data.decode("utf-8", "replace").splitlines():
                    shown = line[:LOG_LINE_CHARACTERS]
                    self.log_lines.append(shown)
                    log.debug("%s: %s", self.name, shown)
        finally:
            transport.close()

    async def _reap(self, reading: asyncio.Task[None]) -> None:
        assert self._process is not None
        code = await self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # its own children, if it left any
        await asyncio.wait([reading], timeout=0.2)
        ended = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        last = next((line for line in reversed(self.log_lines) if line.strip()), "")
        self._mark_gone(f"{ended}; its last line was: {last}" if last else ended)

    async def _watch(self) -> None:
        """Ping it; a ping that isn't answered, or answers that make no progress, mean it hangs."""
        loop = asyncio.get_running_loop()
        progress, since_s = -1, loop.time()
        while not self.is_gone:
            await asyncio.sleep(self._timing.ping_s)
            asked_s = loop.time()
            number = self._ping()
            while self._pongs < number and not self.is_gone:
                await asyncio.sleep(min(0.05, self._timing.ping_timeout_s / 4))
                if loop.time() - asked_s > self._timing.ping_timeout_s and self._pongs < number:
                    self._distrust(f"it hung: no answer to a ping within {self._timing.ping_timeout_s:g} s")
            if self._progress != progress or not self._streams:
                progress, since_s = self._progress, loop.time()
            elif loop.time() - since_s > self._timing.stall_s:
                self._distrust(
                    f"it hung: no progress of {len(self._streams)} answers in {self._timing.stall_s:g} s"
                )

    async def stop(self) -> None:
        """SIGTERM, ``kill_s``, SIGKILL; returns when the process is reaped."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._process.wait()), self._timing.kill_s)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL to the whole group; returns when the process is reaped. Safe to call twice."""
        self._stopping = True
        if self._process is not None:
            self._kill_group()
            await self._process.wait()
            if self._reading is not None:
                await asyncio.wait([self._reading], timeout=0.2)  # its last words
            self._mark_gone("it was stopped")
        self._channel.close()
        for task in self._background:
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # heard
        self._ready.cancel()

    def _kill_group(self) -> None:
        # Only while it isn't reaped: afterwards the number may belong to somebody else.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def _merged(messages: list[list[Any]]) -> CompletionChunk:
    """Plain chunks as one: a reader who lags gets fewer, larger ones."""
    if len(messages) == 1:
        return CompletionChunk(text=messages[0][1], token_ids=tuple(messages[0][2]))
    text = "".join(message[1] for message in messages)
    return CompletionChunk(text=text, token_ids=tuple(token for message in messages for token in message[2]))
