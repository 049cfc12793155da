"""A static web server for the web bundle: threads, ranges, keep-alive, nothing beyond the standard library.

What it answers is decided in ``web_files``. Knows nothing of agents or models.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from the_edge_agent import __version__
from the_edge_agent.errors import UsageError
from the_edge_agent.serving.web_files import Answer, answer_for

_PIECE_BYTES = 1 << 18
_IDLE_S = 60


class WebServer(ThreadingHTTPServer):
    """Serves ``root``; ``log`` gets a line for each request. Own it with ``serving``."""

    daemon_threads = True
    # A browser opens many connections at once; the default of 5 makes some wait a second.
    request_queue_size = 128

    def __init__(self, root: Path, host: str, port: int, *, isolated: bool, verbose: bool = False) -> None:
        self.root = root
        self.isolated = isolated
        self.verbose = verbose
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """The address to open."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


@contextmanager
def serving(
    root: Path, *, host: str = "127.0.0.1", port: int = 0, isolated: bool = True, verbose: bool = False
) -> Generator[WebServer]:
    """A server that answers until the block ends. Raises UsageError where the port can't be had."""
    try:
        server = WebServer(root.resolve(strict=True), host, port, isolated=isolated, verbose=verbose)
    except OSError as error:
        raise UsageError(
            f"can't listen on {host}:{port} ({error.strerror})",
            place="tea web serve",
            fix="give another --port",
        ) from None
    with server:
        thread = threading.Thread(target=server.serve_forever, name="web-server", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: WebServer  # pyright: ignore[reportIncompatibleVariableOverride] # this handler serves no other
    protocol_version = "HTTP/1.1"
    server_version = f"tea/{__version__}"
    sys_version = ""
    timeout = _IDLE_S

    def do_GET(self) -> None:
        """Answer with the file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with the headers alone."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        asked = {name.lower(): value for name, value in self.headers.items()}
        answer = answer_for(self.server.root, self.path, asked, isolated=self.server.isolated)
        text = b"" if answer.file or answer.status == HTTPStatus.NOT_MODIFIED else _sentence(answer.status)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if text:
            self.send_header("Content-Type", "text/plain; charset=utf-8")
        if answer.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(text) or answer.end - answer.start))
        self.end_headers()
        if with_body:
            self.wfile.write(text)
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        if answer.file is None:
            return
        left = answer.end - answer.start
        try:
            with answer.file.open("rb") as file:
                file.seek(answer.start)
                while left and (piece := file.read(min(left, _PIECE_BYTES))):
                    self.wfile.write(piece)
                    left -= len(piece)
        except OSError:
            # The reader went away, or the file did: either way this connection is of no more use.
            self.close_connection = True
        if left:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """A line a request where it was asked for."""
        if self.server.verbose:
            super().log_message(format, *args)


def _sentence(status: HTTPStatus) -> bytes:
    return f"{status.value} {status.phrase}\n".encode()
