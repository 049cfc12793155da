"""Who may call, decided without a socket."""

import pytest

from the_edge_agent.errors import AuthFailed, PermissionDenied, SettingInvalid
from the_edge_agent.serving.access import Access, host_name, is_loopback, resolve_access


def resolved(host="127.0.0.1", key_env="", environ=None, hosts=(), origins=()):
    return resolve_access(host, key_env, environ or {}, hosts, origins)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:80", "192.168.0.7:80", "box.lan"]
)
def test_our_own_names_and_the_address_that_was_connected_to_are_accepted(host):
    Access(hosts=frozenset({"box.lan"})).check_host({"host": host}, "192.168.0.7")


@pytest.mark.parametrize("host", ["evil.com", "localhost.evil.com", "127.0.0.1.nip.io", "", "192.168.0.8"])
def test_a_name_that_was_rebound_to_this_machine_is_refused(host):
    with pytest.raises(PermissionDenied):
        Access().check_host({"host": host}, "192.168.0.7")


@pytest.mark.parametrize(
    ("origin", "answer"),
    [("", ""), ("http://localhost:1", ""), ("https://app.example", "https://app.example")],
)
def test_no_origin_our_own_page_and_a_configured_one_may_call(origin, answer):
    access = Access(origins=frozenset({"https://app.example"}))
    assert access.check_origin({"host": "localhost:1", "origin": origin}) == answer


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.com", "http://localhost:2", "file://", "https://app.example.evil"]
)
def test_pages_of_anybody_else_are_refused(origin):
    with pytest.raises(PermissionDenied):
        Access(origins=frozenset({"https://app.example"})).check_origin(
            {"host": "localhost:1", "origin": origin}
        )


def test_without_configured_keys_any_key_is_accepted():
    Access().check_key({"authorization": "Bearer whatever"})
    Access().check_key({})


def test_with_configured_keys_only_those_are():
    access = Access(keys=("first-key", "second-key"))
    access.check_key({"authorization": "Bearer second-key"})
    access.check_key({"x-api-key": "first-key"})
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic first-key"},
        {"x-api-key": ""},
    ):
        with pytest.raises(AuthFailed):
            access.check_key(headers)
    Access(keys=("first-key",), trusted=True).check_key({})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "box.lan", ""])
def test_an_address_that_others_reach_is_refused_without_a_key(host):
    with pytest.raises(SettingInvalid, match="no API key is configured"):
        resolved(host)
    assert resolved(host, "KEYS", {"KEYS": "long-enough,another-key"}).keys == ("long-enough", "another-key")


def test_an_empty_or_short_key_is_refused():
    with pytest.raises(SettingInvalid, match="KEYS is empty"):
        resolved(key_env="KEYS")
    with pytest.raises(SettingInvalid, match="fewer than 8"):
        resolved(key_env="KEYS", environ={"KEYS": "short"})


def test_names_and_loopback_are_read_as_browsers_write_them():
    assert [host_name(h) for h in ("a:1", "a", "[::1]:2", "::1", "A.B:3")] == ["a", "a", "::1", "::1", "a.b"]
    assert [is_loopback(h) for h in ("127.0.0.9", "::1", "localhost", "10.0.0.1", "x")] == [
        True,
        True,
        True,
        False,
        False,
    ]
