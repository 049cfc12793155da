import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.engine.permissions import host_allowed, host_named, host_of, intersect, tool_allowed
from the_edge_agent.errors import PermissionDenied
from the_edge_agent.workflow.nodes import Permissions

NAMES = st.sampled_from(["*", "a.org", "*.a.org", "b.a.org", "*.b.a.org", "c.org", "A.org."])


def net(*names: str) -> Permissions:
    return Permissions(net=frozenset(names))


def test_by_default_there_is_no_network_and_only_the_runs_folder() -> None:
    found = intersect(Permissions(), Permissions())
    assert found == Permissions(net=frozenset(), files=(".",), code=False, tools=frozenset())


def test_a_file_alone_grants_itself_nothing() -> None:
    wish = Permissions(frozenset({"*"}), ("/",), code=True, tools=frozenset({"*"}))
    assert intersect(wish, Permissions()) == Permissions()


def test_the_caller_alone_grants_nothing_the_file_does_not_ask_for() -> None:
    assert intersect(Permissions(), net("*")).net == frozenset()


@pytest.mark.parametrize(
    ("file", "caller", "both"),
    [
        ({"a.org"}, {"*"}, {"a.org"}),
        ({"*"}, {"a.org", "b.org"}, {"a.org", "b.org"}),
        ({"a.org", "b.org"}, {"b.org", "c.org"}, {"b.org"}),
        ({"*.a.org"}, {"x.a.org"}, {"x.a.org"}),
        ({"A.org"}, {"a.org."}, {"a.org"}),
    ],
)
def test_hosts_are_those_that_both_allow(file: set[str], caller: set[str], both: set[str]) -> None:
    assert intersect(net(*file), net(*caller)).net == both


@given(
    st.frozensets(NAMES),
    st.frozensets(NAMES),
    st.sampled_from(["a.org", "b.a.org", "x.b.a.org", "c.org", "evil.org"]),
)
def test_a_host_is_allowed_by_the_intersection_exactly_where_both_allow_it(a, b, host) -> None:
    both = intersect(net(*a), net(*b)).net
    assert host_allowed(host, both) == (host_allowed(host, a) and host_allowed(host, b))


@pytest.mark.parametrize(
    ("file", "caller", "both"),
    [
        ((".",), (".",), {"agents"}),
        ((".", "/data"), (".",), {"agents"}),
        (("/data/in",), (".", "/data"), {"/data/in"}),
        (("/",), ("/data",), {"/data"}),
        (("../other",), (".",), set()),
        (("..",), (".",), {"agents"}),
        (("sub",), (".",), {"agents/sub"}),
        (("/database",), ("/data",), set()),
        (("/data/../etc",), ("/data",), set()),
    ],
)
def test_folders_are_the_narrower_of_each_pair(
    file: tuple[str, ...], caller: tuple[str, ...], both: set[str]
) -> None:
    found = intersect(Permissions(files=file), Permissions(files=caller), base_dir="agents")
    assert set(found.files) == both


def test_a_subgraph_in_a_folder_below_keeps_to_that_folder_or_what_its_holder_may() -> None:
    holder = intersect(Permissions(files=(".", "/data")), Permissions(files=(".", "/data")), base_dir="/run")
    inner = intersect(Permissions(files=(".", "/data/in", "..", "/etc")), holder, base_dir="/run/sub")
    assert set(inner.files) == {"/run/sub", "/data/in", "/run"}


def test_tools_are_those_that_both_allow() -> None:
    found = intersect(
        Permissions(tools=frozenset({"git", "web.get"})), Permissions(tools=frozenset({"git.log", "web.*"}))
    )
    assert found.tools == {"git.log", "web.get"}


@pytest.mark.parametrize("entry", ["git", "git.*", "git.log", "*"])
def test_a_tool_is_named_by_its_server_by_itself_or_by_a_star(entry: str) -> None:
    assert tool_allowed("git", "log", {entry})
    assert not tool_allowed("other", "log", {entry}) or entry == "*"


def test_a_tool_of_another_server_of_the_same_prefix_is_another_tool() -> None:
    assert not tool_allowed("github", "log", {"git"})
    assert not tool_allowed("git", "logs", {"git.log"})


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://a.org",
        "http://",
        "//a.org",
        "http://user:pw@a.org",
        "http://[::1",
        "http://a.org:99999",
        "javascript:1",
    ],
)
def test_only_plain_http_addresses_are_asked(url: str) -> None:
    with pytest.raises(PermissionDenied):
        host_of(url)


@pytest.mark.parametrize(
    ("url", "host"), [("http://A.Org.:80/x", "a.org"), ("https://[::1]:8/", "::1"), ("HTTP://x", "x")]
)
def test_a_host_is_compared_in_its_plain_form(url: str, host: str) -> None:
    assert host_of(url) == host


def test_a_wildcard_covers_a_host_but_does_not_name_it() -> None:
    assert host_allowed("a.org", {"*"})
    assert not host_named("a.org", {"*", "*.org"})
    assert host_named("A.org.", {"a.org"})


def test_a_domain_is_no_suffix() -> None:
    assert not host_allowed("evila.org", {"*.a.org", "a.org"})
    assert not host_allowed("a.org.evil.org", {"a.org", "*.a.org"})
