"""`tea runtime VERB` against a daemon that is away, frozen, full, somebody else's, or ends: a sentence and an exit code, in time."""

import argparse
import errno
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import httpx
import pytest
from tests.cli.tea import tea

from the_edge_agent.cli import runtime_call, runtime_verbs
from the_edge_agent.errors import (
    BackendTimeout,
    BackendUnavailable,
    EdgeAgentError,
    ModelNotFound,
    PermissionDenied,
)

if sys.platform == "win32":
    pytest.skip("the daemon needs Unix sockets", allow_module_level=True)


@contextmanager
def listening(folder, *answers):
    """A socket that gives each caller the next answer (bytes), and what it was asked; without any it stays silent."""
    path, asked = folder / "s", []

    def serve():
        for answer in answers:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(65536).decode())
                connection.sendall(answer)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen(8)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield argparse.Namespace(socket=path, json=True, model=None, force=False), asked
        thread.join(5)


def http(status, body):
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def test_a_daemon_that_is_frozen_does_not_freeze_its_operator(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime_call, "ANSWER_S", 0.2)
    with (
        listening(tmp_path) as (args, _),
        pytest.raises(BackendTimeout, match="is there and doesn't answer"),
    ):
        runtime_call.ask_daemon(args, "GET", "/edge/v1/status", answer_s=runtime_call.ANSWER_S)


@pytest.mark.parametrize(
    ("answer", "kind", "what"),
    [
        (b"", BackendUnavailable, "ended before it answered"),
        (http("200 OK", "{")[:-1], BackendUnavailable, "ended before it answered"),
        (http("503 Service Unavailable", "Service Unavailable"), BackendUnavailable, "503 'Service Una"),
        (http("404 Not Found", '{"error": {"message": "no such path"}}'), EdgeAgentError, "no such path"),
        (
            http(
                "404 Not Found", '{"error": {"edge_agent": {"name": "ModelNotFound", "what": "none is so"}}}'
            ),
            ModelNotFound,
            "none is so",
        ),
    ],
)
def test_what_a_daemon_says_instead_of_an_answer_is_passed_on(tmp_path, answer, kind, what):
    with listening(tmp_path, answer) as (args, _), pytest.raises(kind, match=what):
        runtime_verbs.status(args, None)


@pytest.mark.parametrize(
    ("number", "kind", "what"),
    [
        (errno.ENOENT, BackendUnavailable, "no daemon answers .*; start one with `tea runtime serve`"),
        (errno.ECONNREFUSED, BackendUnavailable, "no daemon answers"),
        (errno.EACCES, PermissionDenied, "may not be called by you"),
    ],
)
def test_nobody_there_and_somebody_elses_are_told_apart(tmp_path, monkeypatch, number, kind, what):
    def refuse(*_, **__):
        raise httpx.ConnectError(str(OSError(number, os.strerror(number))))

    monkeypatch.setattr(httpx.Client, "request", refuse)
    with pytest.raises(kind, match=what):
        runtime_verbs.ps(argparse.Namespace(socket=tmp_path / "s", json=False), None)


def test_a_models_name_stays_one_part_of_the_path(tmp_path):
    with listening(tmp_path, http("404 Not Found", "{}")) as (args, asked):
        args.model = "a b?c/../d"
        with pytest.raises(EdgeAgentError):
            runtime_verbs.logs(args, None)
    assert asked[0].startswith("GET /edge/v1/logs/a%20b%3Fc%2F..%2Fd HTTP/1.1")


def test_a_process_that_ended_is_not_running_though_nobody_has_looked():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not runtime_verbs._is_running(child.pid)
    assert runtime_verbs._is_running(os.getpid())


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ("agents: {a: gone.yaml}", "gone.yaml"),
        ("models: {tiny: {path: tiny}, tiny: {}}", "the key 'tiny' is given twice"),
        ("models: {m: {path: gone.gguf}}", "models.m.path"),
        ("modles: {}", "unknown key 'modles'"),
    ],
)
def test_check_finds_what_would_only_fail_later(tmp_path, config, what):
    (tmp_path / "runtime.yaml").write_text(config)
    done = tea("runtime", "check", "runtime.yaml", home=tmp_path)
    assert done.code in (1, 2)
    assert what in done.err
    assert "Traceback" not in done.err
