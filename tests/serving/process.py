"""A real daemon process on free ports, for the length of a block: `tea runtime serve` as an operator runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx


class DaemonProcess:
    """The process, its addresses and its folder."""

    def __init__(
        self, folder: Path, arguments: tuple[str, ...] = (), environ: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.log = folder / "log"
        self._arguments = arguments
        self._environ = {
            **os.environ,
            "HOME": str(folder),
            "TEA_DATA_DIR": str(folder / "data"),
            **(environ or {}),
        }
        self._environ["TEA_RUNTIME_SOCKET"] = str(self.socket)
        self.url = self.grpc = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._asking: httpx.Client | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it is ready."""
        with self.log.open("ab") as log:
            begin = log.tell()
            command = (
                sys.executable,
                "-m",
                "the_edge_agent.cli",
                "runtime",
                "serve",
                "--http-port",
                "0",
                "--grpc-port",
                "0",
            )
            self.process = subprocess.Popen(
                (*command, *self._arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
            )
        if wait:
            self.until(lambda: b"\nready" in self.log.read_bytes()[begin:])
            said = self.log.read_bytes()[begin:].decode()
            self.url = re.search(r"HTTP on (\S+)", said)[1]
            self.grpc = re.search(r"gRPC on (\S+)", said)[1] if "gRPC on" in said else ""

    def until(self, condition, seconds=60.0):
        """Wait for what the process is about to do."""
        give_up_s = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up_s, self.log.read_text()
            assert self.process.poll() is None or condition(), self.log.read_text()
            time.sleep(0.02)

    def client(self) -> httpx.Client:
        """A client of its HTTP port."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, verify=False)

    def status(self):
        """What it says of itself."""
        if self._asking is None or str(self._asking.base_url).rstrip("/") != self.url:
            self._asking = self.client()
        return self._asking.get("/edge/v1/status").json()

    def worker_pids(self) -> list[int]:
        """Its workers."""
        return [model["pid"] for model in self.status()["models"] if model["pid"]]

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, seconds=60.0) -> int:
        """Its exit code."""
        return self.process.wait(seconds)

    def stop(self) -> None:
        """End it whatever state it is in."""
        if self._asking is not None:
            self._asking.close()
            self._asking = None
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()


@contextmanager
def daemon(*arguments, config="", environ=None, start=True):
    """A daemon in a folder of its own (a short one: socket paths are)."""
    with tempfile.TemporaryDirectory(prefix="tea") as name:
        folder = Path(name)
        if config:
            (folder / "runtime.yaml").write_text(config)
            arguments = ("--config", str(folder / "runtime.yaml"), *arguments)
        made = DaemonProcess(folder, arguments, environ)
        try:
            if start:
                made.start()
            yield made
        finally:
            made.stop()


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie doesn't)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
