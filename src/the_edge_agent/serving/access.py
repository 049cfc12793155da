"""Who may call: Host and Origin against DNS rebinding, keys, and addresses that need a key. Pure; knows nothing of sockets."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from the_edge_agent.errors import AuthFailed, PermissionDenied, SettingInvalid

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one listener. ``trusted`` is the Unix socket, whose file's mode is the key."""

    keys: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()
    """Names beside loopback that a Host header may hold, lower case."""
    origins: frozenset[str] = frozenset()
    trusted: bool = False

    def check_host(self, headers: Mapping[str, str], server_address: str) -> None:
        """Refuse a Host that isn't ours: a page whose name was rebound to this machine says its own name there.

        An address (not a name) can't be rebound, so the address that was connected to is accepted.

        Raises:
            PermissionDenied.
        """
        name = host_name(headers.get("host", ""))
        if name in LOOPBACK_NAMES or name in self.hosts or (name and name == server_address.lower()):
            return
        raise PermissionDenied(
            f"the Host {name!r:.80} is not this daemon's",
            place="Host",
            fix="add it to allowed_hosts in the configuration",
        )

    def check_origin(self, headers: Mapping[str, str]) -> str:
        """The Origin that may read the answer; empty where there is none or it is our own page. Raises PermissionDenied."""
        origin = headers.get("origin", "").lower()
        if not origin:
            return ""
        parts = urlsplit(origin)
        if parts.scheme in ("http", "https") and parts.netloc == headers.get("host", "").lower():
            return ""
        if origin in self.origins:
            return origin
        raise PermissionDenied(
            f"pages of {origin!r:.80} may not call",
            place="Origin",
            fix="add it to allowed_origins in the configuration",
        )

    def check_key(self, headers: Mapping[str, str]) -> None:
        """Ask for a key where keys are configured; any is accepted (and none is needed) where none are.

        Raises:
            AuthFailed.
        """
        if self.trusted or not self.keys:
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        shown = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # Every key is compared in full, so that time tells nothing about them.
        matches = [hmac.compare_digest(shown.encode(), key.encode()) for key in self.keys]
        if not any(matches):
            raise AuthFailed(
                "the API key is missing or wrong", place="Authorization", fix="send Authorization: Bearer KEY"
            )


def host_name(host: str) -> str:
    """The name of a Host header without its port, lower case: ``[::1]:80`` → ``::1``."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener on that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolve_access(
    host: str, api_key_env: str, environ: Mapping[str, str], hosts: Iterable[str], origins: Iterable[str]
) -> Access:
    """The rules of a TCP listener.

    Raises:
        SettingInvalid: others can reach the address and no key is configured, or the key's variable is empty.
    """
    keys = (
        tuple(key.strip() for key in environ.get(api_key_env, "").split(",") if key.strip())
        if api_key_env
        else ()
    )
    if api_key_env and not keys:
        raise SettingInvalid(
            f"{api_key_env} is empty or not set", place="api_key_env", fix="put the keys into that variable"
        )
    if any(len(key) < 8 for key in keys):
        raise SettingInvalid(
            f"a key in {api_key_env} has fewer than 8 characters", place="api_key_env", fix="use longer keys"
        )
    if not is_loopback(host) and not keys:
        raise SettingInvalid(
            f"others can reach {host!r} and no API key is configured",
            place="host",
            fix="name a variable that holds keys with api_key_env, or listen on 127.0.0.1",
        )
    names = {name.lower() for name in hosts}
    if host not in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        names.add(host.lower())
    return Access(keys, frozenset(names), frozenset(origin.lower().rstrip("/") for origin in origins))
