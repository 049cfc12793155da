"""The whole daemon runs inside one file: its workers are children of it, and it answers over gRPC."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from tests.e2e.bundle.conftest import QUESTION

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


class Daemon:
    """`X.AppImage runtime serve` in a folder of its own."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image = folder / "a folder" / "my agent.AppImage"
        self.image.parent.mkdir()
        shutil.copy(image, self.image)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TEA_RUNTIME_SOCKET": str(folder / "socket"),
        }
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [self.image, "runtime", "serve", "--http-port", "0", "--grpc-port", "0"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environ,
            )  # fmt: skip
        for _ in range(1_200):
            if "\nready" in self.log.read_text():
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def address(self, protocol: str) -> str:
        found = re.search(rf"{protocol} on (?:http://)?(\S+)", self.log.read_text())
        assert found is not None
        return found[1]


@pytest.fixture(scope="module")
def daemon(appimage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(appimage, tmp_path_factory.mktemp("d"))
    daemon.start()
    assert daemon.process is not None
    try:
        yield daemon
    finally:
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.wait(60)


def test_it_passes_its_boot_check(daemon: Daemon) -> None:
    assert "ready: the boot check was answered" in daemon.log.read_text()


def test_its_worker_runs_from_the_bundle(daemon: Daemon) -> None:
    found = re.search(r"ready after .*, pid (\d+)", daemon.log.read_text())
    assert found is not None
    command = Path(f"/proc/{found[1]}/cmdline").read_text().split("\0")
    assert "the_edge_agent.runtime.worker" in command
    assert any(word.endswith("/usr/lib/tea/base/python3") for word in command)


def test_the_health_service_answers_over_grpc(daemon: Daemon) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(daemon.address("gRPC")) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_the_bundled_agent_asks_it_over_its_socket(daemon: Daemon) -> None:
    done = subprocess.run(
        [daemon.image, "run", "--no-log", "--backend", "runtime", *QUESTION],
        capture_output=True, text=True, env=daemon.environ, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "4" in done.stdout


def test_it_answers_over_http(daemon: Daemon) -> None:
    body = {"messages": [{"role": "user", "content": "What is 2+2?"}]}
    answer = httpx.post(
        f"http://{daemon.address('HTTP')}/v1/chat/completions", json=body, timeout=60, trust_env=False
    )
    assert "4" in answer.json()["choices"][0]["message"]["content"]
