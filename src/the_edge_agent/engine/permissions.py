"""What a run may do: the file's wishes intersected with the caller's leave. Pure; touches no file and no network.

Neither side can widen the other: a file that names a host gets it only where the caller named it too.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from the_edge_agent.errors import PermissionDenied
from the_edge_agent.workflow.nodes import Permissions

ANY = "*"


def intersect(file: Permissions, caller: Permissions, *, base_dir: str = ".") -> Permissions:
    """What both allow. Relative folders are below ``base_dir``; the narrower of each pair comes out."""
    return Permissions(
        net=_both(_hosts(file.net), _hosts(caller.net), _covers),
        files=_both_folders(file.files, caller.files, base_dir),
        code=caller.code,  # a file can ask for nothing here: loading has refused its code without leave
        tools=_both(file.tools, caller.tools, _tool_covers),
    )


def host_allowed(host: str, allowed: Iterable[str]) -> bool:
    """Whether a host may be asked: named itself, by ``*.domain``, or by ``*``. Ports play no part."""
    name = normal_host(host)
    return any(_covers(normal_host(pattern), name) for pattern in allowed)


def host_named(host: str, allowed: Iterable[str]) -> bool:
    """Whether the caller named this very host, and not a wildcard that happens to cover it."""
    return normal_host(host) in {normal_host(pattern) for pattern in allowed}


def normal_host(host: str) -> str:
    """Lower case, no trailing dot, no brackets around an IPv6 address."""
    return host.strip().lower().removesuffix(".").removeprefix("[").removesuffix("]")


def host_of(url: str) -> str:
    """The host of an http(s) URL. Raises PermissionDenied for other schemes, credentials in the URL, or no host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise PermissionDenied(f"{url[:200]!r} is no URL", fix="give an http or https address") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise PermissionDenied(
            f"{url[:200]!r} is no http or https address", fix="give an http or https address"
        )
    if "@" in parts.netloc:
        raise PermissionDenied(
            f"the address of {host!r} carries a user name", fix="put credentials into a header, from secrets"
        )
    return normal_host(host)


def tool_allowed(server: str, tool: str, allowed: Iterable[str]) -> bool:
    """Whether a tool may be called: ``server``, ``server.tool``, the bare tool name of a workflow tool, or ``*``."""
    names = {ANY, server, f"{server}.{tool}", f"{server}.*"} if server else {ANY, tool}
    return any(entry in names for entry in allowed)


def _hosts(names: Iterable[str]) -> frozenset[str]:
    return frozenset(map(normal_host, names))


def _covers(pattern: str, name: str) -> bool:
    if pattern in {ANY, name}:
        return True
    # `*.example.org` covers `a.example.org` and, between permissions, `*.a.example.org`.
    return pattern.startswith("*.") and name.endswith(pattern[1:])


def _tool_covers(wide: str, narrow: str) -> bool:
    """``server`` and ``server.*`` cover ``server.tool``."""
    return wide in {ANY, narrow} or narrow.startswith(f"{wide.removesuffix('.*')}.")


def _both(a: frozenset[str], b: frozenset[str], covers: Callable[[str, str], bool]) -> frozenset[str]:
    """The narrower entry of each pair of which one covers the other."""
    return frozenset(
        narrow
        for mine, other in ((a, b), (b, a))
        for narrow in mine
        if any(covers(wide, narrow) for wide in other)
    )


def _both_folders(a: Iterable[str], b: Iterable[str], base_dir: str) -> tuple[str, ...]:
    mine = [_place(folder, base_dir) for folder in a]
    theirs = [_place(folder, base_dir) for folder in b]
    narrow = [
        place
        for own, other in ((mine, theirs), (theirs, mine))
        for place in own
        if any(_inside(place, wide) for wide in other)
    ]
    return tuple(dict.fromkeys(narrow))


def _place(folder: str, base_dir: str) -> str:
    # Text alone: whether links lead elsewhere is the file port's to see.
    return os.path.normpath(os.path.join(base_dir, folder))  # noqa: PTH118


def _inside(folder: str, wide: str) -> bool:
    if wide in {folder, os.sep}:
        return True
    if wide == ".":
        return not os.path.isabs(folder) and folder.split(os.sep, maxsplit=1)[0] != ".."  # noqa: PTH117
    return folder.startswith(wide + os.sep)
