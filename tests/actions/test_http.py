import asyncio
import gzip
import json

import pytest
from tests.actions.context import Served, act, context, serving

from the_edge_agent.actions.http import retry_after_s
from the_edge_agent.adapters import http_client
from the_edge_agent.adapters.http_client import HttpClient
from the_edge_agent.engine.ports import Ports
from the_edge_agent.errors import ActionParamsInvalid, EdgeAgentError, HttpFailed, PermissionDenied
from the_edge_agent.workflow.nodes import Permissions

LOOPBACK = frozenset({"127.0.0.1"})


def exchange(answers, action="http.get", path="/", allowed=LOOPBACK, host="127.0.0.1", **params):
    """The action's result and what the server saw."""

    async def main():
        async with serving() as served, HttpClient() as client:
            for name, (status, headers, body) in answers.items():
                ported = {key: text.replace("PORT", str(served.port)) for key, text in headers.items()}
                served.answers[name] = (status, ported, body)
            where = context(Ports(http=client), Permissions(net=allowed))
            return await act(action, {"url": served.url(path, host), **params}, where), served

    return asyncio.run(main())


def failure(answers, kind=EdgeAgentError, **more) -> EdgeAgentError:
    with pytest.raises(kind) as caught:
        exchange(answers, **more)
    return caught.value


JSON = {"content-type": "application/json; charset=utf-8"}


def test_json_is_parsed_by_its_content_type() -> None:
    result, served = exchange(
        {"/": (200, JSON, b'{"a": 1}')}, headers={"X-Key": "k"}, params={"q": ["a b", 2], "t": True}
    )
    assert result["body"] == {"a": 1}
    assert result["status"] == 200
    assert result["headers"]["content-type"].startswith("application/json")
    method, path, headers, _ = served.requests[0]
    assert (method, path, headers["x-key"]) == ("GET", "/?q=a+b&q=2&t=true", "k")


@pytest.mark.parametrize(("parse", "seen"), [("text", "\ufffd"), ("base64", "/w=="), ("auto", "/w==")])
def test_a_body_becomes_what_parse_says(parse: str, seen: str) -> None:
    result, _ = exchange({"/": (200, {"content-type": "image/png"}, b"\xff")}, parse=parse)
    assert result["body"] == seen


def test_a_body_that_is_no_json_says_so() -> None:
    assert "no JSON" in failure({"/": (200, JSON, b"<html>")}, HttpFailed).what


@pytest.mark.parametrize(
    ("params", "content_type", "body"),
    [
        ({"json": {"a": "\ud800"}}, "application/json", b'{"a": "\\ud800"}'),
        ({"form": {"a": "b c", "n": 1}}, "application/x-www-form-urlencoded", b"a=b+c&n=1"),
        ({"body": "plain"}, "text/plain; charset=utf-8", b"plain"),
        ({}, "text/plain; charset=utf-8", b""),
    ],
)
def test_what_is_posted_arrives(params, content_type: str, body: bytes) -> None:
    _, served = exchange({"/": (200, {}, b"")}, "http.post", **params)
    assert served.requests[0][0] == "POST"
    assert served.requests[0][2]["content-type"] == content_type
    assert served.requests[0][3] == body


def test_two_bodies_are_one_too_many() -> None:
    failure({}, ActionParamsInvalid, action="http.post", json={}, body="x")


def test_a_failing_status_is_an_error_with_status_and_retry_after() -> None:
    error = failure({"/": (429, {"retry-after": "7"}, b"slow down")}, HttpFailed)
    assert isinstance(error, HttpFailed)
    assert (error.status, error.retry_after_s) == (429, 7.0)
    assert "slow down" in error.what


def test_a_host_that_is_not_permitted_is_not_asked() -> None:
    error = failure({"/": (200, {}, b"")}, PermissionDenied, allowed=frozenset())
    assert "--allow-net 127.0.0.1" in error.fix


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.2:PORT/x", "file:///etc/passwd", "http://u:p@127.0.0.1:PORT/", "http://localhost:PORT/"],
)
def test_a_redirect_to_where_the_run_may_not_go_is_refused(target: str) -> None:
    error = failure({"/": (302, {"location": target}, b"")}, PermissionDenied)
    assert isinstance(error, PermissionDenied)


def test_a_redirect_within_bounds_is_followed_and_a_post_becomes_a_get() -> None:
    result, served = exchange(
        {"/": (303, {"location": "/there"}, b""), "/there": (200, {}, b"hi")},
        "http.post",
        body="x",
        headers={"X-Key": "k"},
    )
    assert result["body"] == "hi"
    assert result["url"].endswith("/there")
    assert [(method, headers.get("x-key")) for method, _, headers, _ in served.requests] == [
        ("POST", "k"),
        ("GET", "k"),
    ]


def test_headers_do_not_follow_to_another_host() -> None:
    async def main() -> Served:
        async with serving() as first, serving() as second, HttpClient() as client:
            first.answers["/"] = (307, {"location": second.url("/x")}, b"")
            second.answers["/x"] = (200, {}, b"")
            where = context(Ports(http=client), Permissions(net=LOOPBACK))
            headers = {"Authorization": "Bearer k", "X-Key": "k", "Cookie": "c", "Accept": "text/plain"}
            await act("http.get", {"url": first.url(), "headers": headers}, where)
            assert first.requests[0][2]["authorization"] == "Bearer k"
            return second

    headers = asyncio.run(main()).requests[0][2]
    assert not {"authorization", "x-key", "cookie"} & set(headers)
    assert headers["accept"] == "text/plain"


def test_a_circle_of_redirects_ends() -> None:
    assert "more than 5 times" in failure({"/": (302, {"location": "/"}, b"")}, HttpFailed).what


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0.0.0.0", "2130706433", "127.1", "[::ffff:127.0.0.1]"]
)
def test_a_wildcard_does_not_open_the_machine_itself(host: str) -> None:
    error = failure({"/": (200, {}, b"inside")}, EdgeAgentError, allowed=frozenset({"*"}), host=host)
    assert isinstance(error, PermissionDenied | HttpFailed)
    assert "inside" not in str(error)


def test_a_name_that_changes_its_address_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked: here a public one, faked to lead to the test's server."""
    pinned: list[tuple[str, str]] = []
    real = http_client._pinned

    def to_test_server(url: str, address: str) -> tuple[str, str]:
        target, host = real(url, address)
        pinned.append((target, host))
        return target.replace("93.184.216.34", "127.0.0.1"), host

    async def look_up(self, host, port, **_more):
        return [(2, 1, 6, "", ("93.184.216.34", port))]

    monkeypatch.setattr(http_client, "_pinned", to_test_server)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    result, served = exchange({"/": (200, {}, b"ok")}, allowed=frozenset({"*"}), host="rebind.example")
    assert result["body"] == "ok"
    assert pinned == [(f"http://93.184.216.34:{served.port}/", f"rebind.example:{served.port}")]
    assert served.requests[0][2]["host"] == f"rebind.example:{served.port}"


def test_a_body_that_is_too_large_is_cut_off() -> None:
    assert "more than 100 bytes" in failure({"/": (200, {}, b"x" * 101)}, HttpFailed, max_bytes=100).what


def test_a_small_body_that_unpacks_to_a_large_one_is_cut_off() -> None:
    bomb = gzip.compress(b"x" * 10_000_000)
    error = failure({"/": (200, {"content-encoding": "gzip"}, bomb)}, HttpFailed, max_bytes=1_000_000)
    assert "more than 1,000,000 bytes" in error.what


def test_a_server_that_never_answers_is_given_up() -> None:
    assert "no answer within" in failure({"/": (0, {}, b"")}, HttpFailed, timeout_s=0.05).what


def test_nobody_there_is_an_error_that_says_so() -> None:
    async def main() -> None:
        async with HttpClient() as client:
            await act(
                "http.get",
                {"url": "http://127.0.0.1:9/"},
                context(Ports(http=client), Permissions(net=LOOPBACK)),
            )

    with pytest.raises(HttpFailed, match=r"127\.0\.0\.1 can't be asked"):
        asyncio.run(main())


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\n": "a"}, {"X": None}, {"X": {"a": 1}}])
def test_headers_that_are_none_are_refused(headers) -> None:
    failure({"/": (200, {}, b"")}, ActionParamsInvalid, headers=headers)


def test_a_run_without_a_network_says_so() -> None:
    with pytest.raises(PermissionDenied, match="no network"):
        asyncio.run(
            act(
                "http.get",
                {"url": "http://a.org"},
                context(permissions=Permissions(net=frozenset({"a.org"}))),
            )
        )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), (None, None), ("soon", None), ("Thu, 01 Jan 1970 00:00:10 GMT", 8.0), ("-1", None)],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, 2.0) == seconds
    assert json.dumps(seconds)
