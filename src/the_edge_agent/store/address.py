"""Where a download may be led: schemes, hosts and the token's reach. Pure over addresses that were looked up already."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

from the_edge_agent.errors import DownloadFailed

LONGEST_URL = 8192


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)


def is_private(address: str) -> bool:
    """Whether an IP address belongs to this machine or its neighbourhood and not to the internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return not ip.is_global or ip.is_multicast


def resolve_redirect(current: str, location: str | None, *, start: str) -> str:
    """The address that a redirect leads to.

    Raises DownloadFailed for one that leads nowhere, to another scheme (file:, ftp:), or from https down to http.
    """
    if not location or len(location) > LONGEST_URL:
        raise DownloadFailed("the server redirects to nowhere", place=start)
    target = urljoin(current, location)
    try:
        scheme, host, _ = origin_of(target)
    except ValueError:
        raise DownloadFailed("the server redirects to an address that can't be read", place=start) from None
    if scheme not in ("http", "https") or not host:
        raise DownloadFailed(
            f"the server redirects to {scheme or 'no'}: address, which is never followed",
            place=start,
            fix="use another source",
        )
    if scheme == "http" and origin_of(current)[0] == "https":
        raise DownloadFailed(
            f"the server redirects from https to plain http ({host})", place=start, fix="use another source"
        )
    return target


def check_addresses(target: str, addresses: Iterable[str], *, start: str) -> None:
    """Refuse a redirect that leads into a private network which the person didn't name.

    The host that ``start`` names is theirs to choose, private or not; any other host must be on the internet.
    Raises DownloadFailed.
    """
    host = origin_of(target)[1]
    if host == origin_of(start)[1]:
        return
    private = [address for address in addresses if is_private(address)]
    if private:
        raise DownloadFailed(
            f"the server redirects to {host}, a private address ({private[0]})",
            place=start,
            fix="name that address yourself if you trust it",
        )


def token_goes_to(url: str, token_origin: str) -> bool:
    """Whether the token may be sent there: the very origin it is for, and encrypted unless it is this machine."""
    scheme, host, port = origin_of(url)
    if (scheme, host, port) != origin_of(token_origin):
        return False
    return scheme == "https" or host in ("localhost", "127.0.0.1", "::1")
