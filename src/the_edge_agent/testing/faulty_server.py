"""An HTTP server that fails on purpose: what a download must survive, one request at a time.

::

    with FaultyServer({"/m.gguf": data}, faults=in_turn(Fault.drop(1000), Fault.stall(0))) as server:
        fetch(server.url("/m.gguf"))          # first answer breaks off, second one hangs, then all is well
    assert [seen.fault for seen in server.seen] == ["drop", "stall", ""]

Runs on loopback in threads of its own, sends files of any size without reading them into memory, and remembers what it
was asked. Knows nothing of the store.
"""

from __future__ import annotations

import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from the_edge_agent.testing.faults import Fault, FaultKind, Faults, SeenRequest, always, at_random, in_turn

__all__ = [
    "Answer",
    "Fault",
    "FaultKind",
    "Faults",
    "FaultyServer",
    "SeenRequest",
    "always",
    "at_random",
    "in_turn",
    "wait_until",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """A fixed answer to a path, for redirects and small documents."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


class FaultyServer:
    """Serves ``files`` (bytes or paths by URL path) and ``answers`` until the ``with`` ends."""

    def __init__(
        self,
        files: Mapping[str, bytes | Path],
        *,
        answers: Mapping[str, Answer] | None = None,
        faults: Faults | None = None,
        etag: str = '"one"',
        host: str = "127.0.0.1",
    ) -> None:
        self.files = dict(files)
        self.answers = dict(answers or {})
        self.faults: Faults = faults or in_turn()
        self.etag = etag
        self.seen: list[SeenRequest] = []
        self._listener = socket.create_server((host, 0), backlog=128)
        self.host, self.port = self._listener.getsockname()[:2]
        self._closing = threading.Event()
        self._changes = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="faulty server", daemon=True)

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://{self.host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and cut every connection."""
        self._closing.set()
        _shut(self._listener)  # wakes the thread that accepts; closing alone wouldn't
        self._listener.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    @property
    def body_bytes_sent(self) -> int:
        """Bytes of file bodies that went out so far."""
        return sum(seen.sent_bytes for seen in self.seen)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="answer", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as reader:
                while not self._closing.is_set():
                    request = _read_request(reader)
                    if request is None or not self._answer(connection, request):
                        return
        except OSError:
            return
        finally:
            with self._lock:
                self._open.discard(connection)

    def _answer(self, connection: socket.socket, request: SeenRequest) -> bool:
        """Answer one request; whether the connection may be used again."""
        with self._lock:
            self.seen.append(request)
        fixed = self.answers.get(request.path)
        if fixed is not None:
            connection.sendall(
                _head(fixed.status, {"Content-Length": str(len(fixed.body)), **fixed.headers}) + fixed.body
            )
            return True
        path, hops = _without_hops(request.path)
        content = self.files.get(path)
        if content is None:
            connection.sendall(_head(404, {"Content-Length": "0"}))
            return True
        if hops:
            connection.sendall(_head(302, {"Content-Length": "0", "Location": f"{path}?hops={hops - 1}"}))
            return True
        fault = self.faults(request) or Fault()
        request.fault = fault.kind
        return self._answer_file(connection, request, _Body(content), fault)

    def _answer_file(
        self, connection: socket.socket, request: SeenRequest, body: _Body, fault: Fault
    ) -> bool:
        refused = _refusal(request, fault)
        if refused is not None:
            connection.sendall(refused)
            return True
        if fault.kind == "change-etag":
            self._changes += 1
        etag = f'"changed {self._changes}"' if self._changes else self.etag
        size = body.size
        start, end = (request.start or 0), size if request.end is None else min(request.end, size)
        ranged = request.start is not None and fault.kind != "ignore-range"
        if ranged and request.headers.get("if-range", etag) != etag:
            ranged = False
        if ranged and start >= size:
            connection.sendall(_head(416, {"Content-Length": "0", "Content-Range": f"bytes */{size}"}))
            return True
        if not ranged:
            start, end = 0, size
        length = end - start
        headers = {"Content-Length": str(length), "ETag": etag, "Accept-Ranges": "bytes"}
        if fault.kind == "longer-than-sent":
            headers["Content-Length"] = str(length + 1000)
        elif fault.kind == "shorter-than-sent":
            headers["Content-Length"] = str(max(length - 1000, 0))
        elif fault.kind == "compressed":
            headers["Content-Encoding"] = "gzip"
        if ranged:
            first = start + 1 if fault.kind == "wrong-range" else start
            total = size + 12345 if fault.kind == "wrong-total" else size
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{total}"
        connection.sendall(_head(206 if ranged else 200, headers))
        return self._send_body(connection, request, body, (start, end), fault)

    def _send_body(
        self,
        connection: socket.socket,
        request: SeenRequest,
        body: _Body,
        span: tuple[int, int],
        fault: Fault,
    ) -> bool:
        start, end = span
        whole = fault.kind not in ("drop", "stall", "trickle")
        stop = end if whole else min(start + fault.after_bytes, end)
        # Counted before they go: who has read the last byte may look at the count at once.
        if fault.kind == "wrong-bytes":
            request.sent_bytes += end - start
            connection.sendall(body.flipped(start, end))
            return True
        request.sent_bytes += stop - start
        request.sent_bytes -= stop - start - body.send(connection, start, stop)
        if fault.kind == "stall":
            self._wait_for_leaving(connection)
        elif fault.kind == "trickle":
            for at in range(stop, end):
                if self._closing.wait(fault.pause_s):
                    break
                request.sent_bytes += 1
                connection.sendall(body.read(at, at + 1))
        return fault.kind in ("", "ignore-range", "change-etag", "wrong-range", "wrong-total", "redirects")

    def _wait_for_leaving(self, connection: socket.socket) -> None:
        """Until the client hangs up or the server closes."""
        while not self._closing.is_set():
            readable, _, _ = select.select([connection], [], [], 0.2)
            if readable and not connection.recv(1, socket.MSG_PEEK):
                return


class _Body:
    """A file's bytes, from memory or from disk."""

    def __init__(self, content: bytes | Path) -> None:
        self._content = content
        self.size = len(content) if isinstance(content, bytes) else content.stat().st_size

    def read(self, start: int, end: int) -> bytes:
        if isinstance(self._content, bytes):
            return self._content[start:end]
        with self._content.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def flipped(self, start: int, end: int) -> bytes:
        """As many bytes, one of them wrong."""
        data = bytearray(self.read(start, end))
        if data:
            data[len(data) // 2] ^= 0xFF
        return bytes(data)

    def send(self, connection: socket.socket, start: int, end: int) -> int:
        """Send a span; the number of bytes that went out before the client left, if it did."""
        at = start
        try:
            if isinstance(self._content, bytes):
                view = memoryview(self._content)
                while at < end:
                    at += connection.send(view[at:end])
                return at - start
            with self._content.open("rb") as file:
                while at < end and (sent := os.sendfile(connection.fileno(), file.fileno(), at, end - at)):
                    at += sent
        except OSError:
            _shut(connection)
        return at - start


def _refusal(request: SeenRequest, fault: Fault) -> bytes | None:
    """The whole answer of a fault that has no body."""
    empty = {"Content-Length": "0"}
    if fault.kind in ("429", "503"):
        after = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return _head(int(fault.kind), {**empty, **after})
    if fault.kind in ("416", "403"):
        return _head(int(fault.kind), empty)
    if fault.kind == "redirect":
        return _head(302, {**empty, "Location": fault.location})
    if fault.kind == "redirects" and fault.hops:
        return _head(302, {**empty, "Location": f"{request.path.partition('?')[0]}?hops={fault.hops - 1}"})
    return None


def _without_hops(path: str) -> tuple[str, int]:
    bare, _, query = path.partition("?")
    found = re.fullmatch(r"hops=(\d+)", query)
    return bare, int(found[1]) if found else 0


def _read_request(reader: BinaryIO) -> SeenRequest | None:
    first = reader.readline(65536).decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while (line := reader.readline(65536).decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    request = SeenRequest(first[1], headers)
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
    if found:
        request.start = int(found[1])
        request.end = int(found[2]) + 1 if found[2] else None
    return request


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 404: "Not Found", 416: "Range Not Satisfiable"}


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def wait_until(ready: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    """Poll until ``ready``; raises TimeoutError. For tests that watch another process."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not ready():
        if time.monotonic() > deadline_s:
            raise TimeoutError("it never became ready")
        pause.wait(0.005)
