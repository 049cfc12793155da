"""How the store reaches a host: timeouts, proxy, certificates, and the addresses it has. Opens no connection itself.

Knows nothing of files, ranges or answers.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from functools import cache

from the_edge_agent.store.address import origin_of

USER_AGENT = "the-edge-agent"


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How the line is treated; the defaults suit the internet."""

    connect_timeout_s: float = 15.0
    stall_timeout_s: float = 30.0
    """Nothing for so long, or less than ``lowest_rate_bytes_s`` on average, is a stall."""
    lowest_rate_bytes_s: float = 512.0
    token: str | None = None
    token_origin: str = ""
    """The one origin (``https://host``) that the token is for."""
    proxy: str | None = None
    """For https; plain http is only spoken to hosts nearby."""
    direct_hosts: tuple[str, ...] = ()
    """Hosts, with those below them, that are asked without the proxy."""
    ca_file: str | None = None


def addresses_of(host: str) -> list[str]:
    """The IP addresses of a host; empty where it has none (asking it will then fail by itself)."""
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


@cache
def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """The system's certificates and httpx's own (a lean system has none); made once, since it takes a while."""
    if ca_file:
        return ssl.create_default_context(cafile=ca_file)
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


@cache
def no_tls() -> ssl.SSLContext:
    """A context that trusts nobody, for a client that speaks plain http alone."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def is_proxied(url: str, options: HttpOptions) -> bool:
    """Whether the address is asked through the proxy."""
    scheme, host, _ = origin_of(url)
    direct = any(host == name or host.endswith(f".{name}") for name in options.direct_hosts)
    return options.proxy is not None and scheme == "https" and not direct
