"""The HTTP port over httpx: bounded, and careful about where it goes.

Redirects are followed here, one by one, each checked against the allowed hosts. A host that the caller named may be
anywhere; one that only a wildcard covers must have public addresses, and the connection goes to the address that was
checked, so that a name which changes its address in between gains nothing. Headers go to the host they were meant for
and to no other. Proxies of the environment aren't used: they would undo the check.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit, urlunsplit

from the_edge_agent.engine.permissions import host_allowed, host_named, host_of
from the_edge_agent.engine.ports import HttpResponse
from the_edge_agent.errors import HttpFailed, PermissionDenied

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: What may follow a redirect to another origin.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "content-type"})


class HttpClient:
    """The HttpPort. Opens its connections when they are needed; use it in an ``async with``."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        max_bytes: int,
        allowed_hosts: frozenset[str],
    ) -> HttpResponse:
        """One exchange, redirects included. Raises HttpFailed, PermissionDenied."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(
                    _Request(method, url, dict(headers), body), max_bytes, allowed_hosts
                )
        except TimeoutError as error:
            raise HttpFailed(
                f"{host_of(url)} gave no answer within {timeout_s:g} s", fix="raise timeout_s, or try later"
            ) from error

    async def _follow(self, request: _Request, max_bytes: int, allowed_hosts: frozenset[str]) -> HttpResponse:
        for _ in range(MAX_REDIRECTS + 1):
            address = await _checked_address(request.url, allowed_hosts)
            response = await self._exchange(request, address, max_bytes)
            target = response.headers.get("location")
            if response.status not in _REDIRECTS or not target:
                return response
            request = _redirected(request, response.status, urljoin(request.url, target))
        raise HttpFailed(
            f"{host_of(request.url)} redirected more than {MAX_REDIRECTS} times", fix="check the address"
        )

    async def _exchange(self, request: _Request, address: str | None, max_bytes: int) -> HttpResponse:
        import httpx

        if self._client is None:
            # No timeout of its own: the whole exchange has one.
            self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=None)  # noqa: S113
        host = host_of(request.url)
        url, headers, extensions = request.url, request.headers, dict[str, Any]()
        if address is not None:
            url, host_header = _pinned(request.url, address)
            headers = {**headers, "host": host_header}
            extensions["sni_hostname"] = host
        try:
            built = self._client.build_request(
                request.method, url, headers=headers, content=request.body, extensions=extensions
            )
            response = await self._client.send(built, stream=True)
            try:
                data = await _read(response, host, max_bytes)
            finally:
                await response.aclose()
        except httpx.InvalidURL as error:
            raise HttpFailed(
                f"{url[:200]!r} is no usable address: {error}", fix="check the address"
            ) from error
        except httpx.HTTPError as error:
            raise HttpFailed(
                f"{host} can't be asked: {type(error).__name__}: {error}",
                fix="check the address and the network",
            ) from error
        found = {name.lower(): text for name, text in response.headers.items()}
        return HttpResponse(response.status_code, found, data, request.url)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


def _redirected(request: _Request, status: int, url: str) -> _Request:
    """What follows a redirect: other origins get no header that was meant for the first."""
    headers = dict(request.headers)
    if _origin(url) != _origin(request.url):
        headers = {name: text for name, text in headers.items() if name in _HARMLESS_HEADERS}
    if status == 303 or (status in {301, 302} and request.method == "POST"):
        headers.pop("content-type", None)
        return _Request("GET", url, headers, None)
    return _Request(request.method, url, headers, request.body)


async def _read(response: httpx.Response, host: str, max_bytes: int) -> bytes:
    """The body, unpacked, as long as it stays within bounds."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > max_bytes:
            raise HttpFailed(
                f"{host} sent more than {max_bytes:,} bytes",
                fix="raise max_bytes",
                status=response.status_code,
            )
        parts.append(part)
    return b"".join(parts)


async def _checked_address(url: str, allowed_hosts: frozenset[str]) -> str | None:
    """The address to connect to, None for any: the caller named the host. Raises PermissionDenied, HttpFailed."""
    host = host_of(url)
    if not host_allowed(host, allowed_hosts):
        raise PermissionDenied(f"this run may not ask {host!r}", fix=f"allow it: --allow-net {host}")
    if host_named(host, allowed_hosts):
        return None
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, urlsplit(url).port or 443)
    except (OSError, UnicodeError) as error:
        raise HttpFailed(f"{host!r} has no address: {error}", fix="check the address") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise PermissionDenied(
                f"{host!r} is {address}, which is no public address",
                fix=f"name the host if it is meant: --allow-net {host}",
            )
    return addresses[0]


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, host_of(url), parts.port


def _pinned(url: str, address: str) -> tuple[str, str]:
    """The URL with an address in place of its host, and the Host header it needs."""
    parts = urlsplit(url)
    literal = f"[{address}]" if ":" in address else address
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{literal}{port}")), parts.netloc
