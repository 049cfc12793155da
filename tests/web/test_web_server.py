"""The static server of the web bundle, asked over real connections."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from the_edge_agent.errors import UsageError
from the_edge_agent.serving.web_files import parse_range
from the_edge_agent.serving.web_server import WebServer, serving

PAGE = b"<!doctype html><title>tea</title>"
BYTES = bytes(range(256)) * 4000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "deep").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "deep/index.html").write_bytes(b"deep")
    (folder / "model.gguf").write_bytes(BYTES)
    (folder / "a b.yaml").write_bytes(b"name: x\n")
    (folder / ".secret").write_bytes(b"no")
    (tmp_path / "outside").write_bytes(b"no")
    (folder / "link").symlink_to(tmp_path / "outside")
    return folder


@pytest.fixture
def server(root: Path) -> Iterator[WebServer]:
    with serving(root) as running:
        yield running


def ask(
    server: WebServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): v for name, v in headers.items()})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_a_page_comes_with_the_headers_that_threads_need_and_a_policy_that_keeps_it_at_home(
    server: WebServer,
) -> None:
    status, headers, body = ask(server, "/")
    assert (status, body, headers["content-type"]) == (200, PAGE, "text/html; charset=utf-8")
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert "connect-src 'self' blob: data:" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_without_isolation_the_policy_stays_and_the_two_headers_go(root: Path) -> None:
    with serving(root, isolated=False) as server:
        _, headers, _ = ask(server, "/")
    assert "cross-origin-opener-policy" not in headers
    assert "content-security-policy" in headers


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=1000000-", slice(1_000_000, None)),
        ("bytes=-5", slice(-5, None)),
        ("bytes=1023990-99999999", slice(1_023_990, None)),
    ],
)
def test_a_range_gets_these_bytes_alone(server: WebServer, asked: str, span: slice) -> None:
    status, headers, body = ask(server, "/model.gguf", Range=asked)
    assert (status, body) == (206, BYTES[span])
    assert headers["content-range"].endswith(f"/{len(BYTES)}")


def test_a_range_behind_the_end_is_refused_with_the_size(server: WebServer) -> None:
    status, headers, _ = ask(server, "/model.gguf", Range="bytes=2000000-")
    assert (status, headers["content-range"]) == (416, f"bytes */{len(BYTES)}")


@pytest.mark.parametrize("odd", ["bytes=5-2", "bytes=0-1,4-5", "items=0-1", "bytes=-", "bytes=x-1"])
def test_a_range_that_makes_no_sense_is_ignored(odd: str) -> None:
    assert parse_range(odd, 100) is None


def test_a_range_of_another_version_gets_the_whole(server: WebServer) -> None:
    assert ask(server, "/model.gguf", Range="bytes=0-9", If_Range='"old"')[0] == 200


def test_what_the_browser_has_is_not_sent_again(server: WebServer) -> None:
    tag = ask(server, "/model.gguf", "HEAD")[1]["etag"]
    status, headers, body = ask(server, "/model.gguf", If_None_Match=tag)
    assert (status, body) == (304, b"")
    assert "content-length" not in headers


def test_a_head_says_the_length_and_sends_nothing(server: WebServer) -> None:
    status, headers, body = ask(server, "/model.gguf", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(BYTES)), b"")


@pytest.mark.parametrize(
    "path",
    ["/../outside", "/%2e%2e/outside", "/link", "/.secret", "/deep/%2e%2e/%2e%2e/outside", "/..%5coutside", "/a%00b", "/%ff", "/nothing", "//etc/passwd"],
)  # fmt: skip
def test_nothing_outside_the_folder_and_nothing_hidden_is_served(server: WebServer, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_a_folder_leads_to_its_page_and_nowhere_else(server: WebServer) -> None:
    status, headers, _ = ask(server, "/deep")
    assert (status, headers["location"]) == (301, "./deep/")
    assert ask(server, "/deep/")[2] == b"deep"
    assert ask(server, "/a%20b.yaml")[2] == b"name: x\n"


def test_other_methods_are_refused(server: WebServer) -> None:
    assert ask(server, "/", "POST")[0] == 501


def test_a_port_that_is_taken_is_a_sentence(root: Path, server: WebServer) -> None:
    with pytest.raises(UsageError, match="can't listen on"), serving(root, port=server.server_address[1]):
        pass


@pytest.mark.parametrize("packed", [False, True])
def test_the_command_serves_a_folder_and_an_archive_until_it_is_told_to_stop(
    root: Path, tmp_path: Path, packed: bool
) -> None:
    site = root
    if packed:
        site = tmp_path / "site.tar.gz"
        (root / "link").unlink()
        with tarfile.open(site, "w:gz") as archive:
            archive.add(root, "tea-wasm-llm-1.0")
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "the_edge_agent.cli",
        "web",
        "serve",
        str(site),
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(tmp_path)}) as process:  # fmt: skip
        assert process.stdout
        url = process.stdout.readline().strip()
        connection = http.client.HTTPConnection(url.removeprefix("http://").strip("/"), timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().read() == PAGE
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_site_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    from the_edge_agent.cli.web import unpacked

    with pytest.raises(UsageError, match="make one with `tea bundle web`"), unpacked(tmp_path / "none"):
        pass
    (tmp_path / "x.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="can't be unpacked"), unpacked(tmp_path / "x.tar.gz"):
        pass
