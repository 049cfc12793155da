"""An API on loopback that answers a word at a time and goes on until the client leaves or the words are out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SlowApi:
    """``words`` is what it says; with ``endless`` it holds the line open after the last one until it is released."""

    def __init__(self, words: list[str], *, endless: bool) -> None:
        self.words = words
        self.endless = endless
        self.requests: list[dict] = []
        self.released = threading.Event()
        self.url = ""

    @property
    def environ(self) -> dict[str, str | None]:
        """What points ``--backend api`` here."""
        return {"TEA_API_BASE_URL": self.url, "TEA_API_MODEL": "slow", "OPENAI_API_KEY": "not-a-key"}


@contextmanager
def slow_api(*words: str, endless: bool = False) -> Iterator[SlowApi]:
    """The API, on a port of its own."""
    api = SlowApi(list(words), endless=endless)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

        def do_POST(self) -> None:
            api.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            try:
                for word in api.words:
                    self._say({"choices": [{"index": 0, "delta": {"content": word}}]})
                if api.endless:
                    api.released.wait(300)
                self._say({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
                self._say({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": len(api.words)}})
                self.wfile.write(b"data: [DONE]\n\n")
            except OSError:
                pass

        def _say(self, event: dict) -> None:
            self.wfile.write(b"data: " + json.dumps({"model": "slow", **event}).encode() + b"\n\n")
            self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
