"""Servers to measure, each a real process for the length of a block: our daemon, and llama.cpp's llama-server."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx


@contextmanager
def daemon(config: str) -> Generator[tuple[str, int]]:
    """``tea runtime serve`` with this configuration; its address and its pid."""
    with tempfile.TemporaryDirectory(prefix="tea") as folder:
        path = Path(folder) / "runtime.yaml"
        path.write_text(config, encoding="utf-8")
        environ = {**os.environ, "HOME": folder, "TEA_DATA_DIR": folder, "TEA_RUNTIME_SOCKET": f"{folder}/s"}
        command = [sys.executable, "-m", "the_edge_agent.cli", "runtime", "serve", "--config", str(path)]
        process = subprocess.Popen(
            [*command, "--http-port", "0", "--grpc-port", "0"],
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said = ""
            assert process.stderr is not None
            while "\nready" not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
            found = re.search(r"HTTP on (\S+)", said)
            assert found, said
            yield found[1], process.pid
        finally:
            process.terminate()
            process.wait(60)


def llama_server_binary() -> str | None:
    """The peer, if it was built (``packaging/llama/build.py server``): named by the environment, beside us, or on PATH."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ.get("TEA_BENCH_LLAMA_SERVER") or shutil.which("llama-server", path=beside)


@contextmanager
def llama_server(binary: str, model: Path, *, slots: int, n_ctx: int, n_threads: int) -> Generator[str]:
    """llama-server on the model, ``n_ctx`` tokens for each slot; its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [binary, "-m", str(model), "--host", "127.0.0.1", "--port", str(port)]
    command += ["-c", str(n_ctx * slots), "-np", str(slots), "-t", str(n_threads), "-tb", str(n_threads)]
    command += ["-ngl", "0", "--no-webui", "--jinja", "--cache-ram", "0", "--log-disable"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(verify=False, trust_env=False) as client:
            while True:
                try:
                    if client.get(f"{url}/health").status_code == 200:
                        break
                except httpx.TransportError:
                    assert process.poll() is None, "llama-server ended"
                time.sleep(0.002)
        yield url
    finally:
        process.terminate()
        process.wait(60)
