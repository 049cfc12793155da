"""One file behind HTTP: asked what it is, then asked for ranges of it. The only module of the store that opens sockets.

Follows redirects itself, hop by hop, so that each is judged before anything is sent and the token stays where it
belongs. Turns whatever a server or a line can do into four outcomes: bytes, a transient fault, "it is another file now",
or DownloadFailed. Knows nothing of chunks, of retries, or of what is on disk.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from the_edge_agent.errors import DownloadFailed
from the_edge_agent.store.address import check_addresses, origin_of, resolve_redirect, token_goes_to
from the_edge_agent.store.backoff import parse_retry_after

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 10
USER_AGENT = "the-edge-agent"

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.IGNORECASE)
_CONTENT_RANGE_OF_NOTHING = re.compile(r"bytes \*/(\d{1,19})", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REDIRECTS = (301, 302, 303, 307, 308)
_GONE_OR_FORBIDDEN = (401, 403, 404, 410)
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


class TransientFault(Exception):
    """Worth asking again. ``retry_after_s`` is what the server wishes."""

    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


class FileChanged(Exception):
    """The server has other bytes under that address than a moment ago."""


class RangeIgnored(Exception):
    """The server answers with the whole file, whatever range is asked for."""


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


@dataclass(frozen=True, slots=True)
class RemoteFacts:
    """What a server says of a file. ``sha256`` and ``commit`` come from the hub's own headers, else they are empty."""

    url: str
    size_bytes: int
    etag: str = ""
    takes_ranges: bool = True
    sha256: str = ""
    commit: str = ""


@dataclass(slots=True)
class _Linked:
    """What the first host says of the file before it sends us elsewhere."""

    sha256: str = ""
    commit: str = ""
    size_bytes: int | None = None


class HttpSource:
    """A file at ``url``. Safe to use from several threads; close it when done."""

    def __init__(
        self,
        url: str,
        options: HttpOptions,
        *,
        connections: int = 4,
        look_up: Callable[[str], list[str]] | None = None,
    ) -> None:
        import httpx

        self.url = url
        self._options = options
        self._look_up = look_up or addresses_of
        timeout = httpx.Timeout(options.stall_timeout_s, connect=options.connect_timeout_s)
        limits = httpx.Limits(max_connections=connections + 1, max_keepalive_connections=connections + 1)

        def open_client(*, encrypted: bool, proxied: bool) -> httpx.Client:
            return httpx.Client(
                timeout=timeout,
                limits=limits,
                follow_redirects=False,
                trust_env=False,
                proxy=options.proxy if proxied else None,
                verify=_tls_context(options.ca_file) if encrypted else _no_tls(),
                headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            )

        self._open_client = open_client
        self._clients: dict[str, httpx.Client] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()

    def probe(self) -> RemoteFacts:
        """Ask what the file is, with a range of one byte.

        Raises DownloadFailed, TransientFault.
        """
        linked = _Linked()
        with self._get(self.url, {"Range": "bytes=0-0"}, linked) as response:
            if response.status_code == 206:
                _, _, total = _content_range(response)
                size, ranges = total, True
            elif response.status_code == 200:
                size, ranges = _content_length(response), False
            elif response.status_code == 416 and _total_of_nothing(response) == 0:
                size, ranges = 0, False
            else:
                raise self._refusal(response)
            if size is None:
                raise DownloadFailed("the server doesn't say how long the file is", place=self.url)
            if linked.size_bytes is not None and linked.size_bytes != size:
                raise DownloadFailed(
                    f"the hub promises {linked.size_bytes} bytes and the server behind it offers {size}",
                    place=self.url,
                )
            return RemoteFacts(
                url=str(response.url),
                size_bytes=size,
                etag=response.headers.get("etag", ""),
                takes_ranges=ranges,
                sha256=linked.sha256,
                commit=linked.commit,
            )

    @contextmanager
    def fetch(self, start: int, end: int, facts: RemoteFacts) -> Generator[Iterator[bytes]]:
        """Stream bytes ``start`` to ``end`` (exclusive); yields pieces, fewer bytes where the server stops early.

        Raises TransientFault, FileChanged, RangeIgnored, DownloadFailed.
        """
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if facts.etag and not facts.etag.startswith("W/"):
            headers["If-Range"] = facts.etag
        with self._get(facts.url, headers, _Linked()) as response:
            if response.status_code == 200:
                _check_same(response, facts, _content_length(response))
                raise RangeIgnored
            if response.status_code == 416:
                raise FileChanged("it ends before the range that was asked for")
            if response.status_code != 206:
                raise self._refusal(response, facts)
            first, last, total = _content_range(response)
            _check_same(response, facts, total)
            if first != start or last >= end:
                raise TransientFault(f"the server sent bytes {first}-{last} for {start}-{end - 1}")
            yield self._pieces(response, end - start)

    @contextmanager
    def fetch_whole(self, facts: RemoteFacts) -> Generator[Iterator[bytes]]:
        """Stream the file from its first byte, for servers that know no ranges."""
        with self._get(facts.url, {}, _Linked()) as response:
            if response.status_code != 200:
                raise self._refusal(response, facts)
            _check_same(response, facts, _content_length(response))
            yield self._pieces(response, facts.size_bytes)

    def read_all(self, *, most_bytes: int) -> bytes:
        """The whole answer, for small documents."""
        with self._get(self.url, {}, _Linked()) as response:
            if response.status_code != 200:
                raise self._refusal(response)
            data = b""
            for piece in self._pieces(response, most_bytes + 1):
                data += piece
            if len(data) > most_bytes:
                raise DownloadFailed(f"the answer is longer than {most_bytes} bytes", place=self.url)
            return data

    def _pieces(self, response: httpx.Response, most_bytes: int) -> Iterator[bytes]:
        """The body, ``most_bytes`` at the most whatever the server claims, with an eye on the clock."""
        import httpx

        window_start_s, window_bytes = time.monotonic(), 0
        try:
            for piece in response.iter_raw():
                if len(piece) >= most_bytes:
                    yield piece[:most_bytes]
                    return
                most_bytes -= len(piece)
                window_bytes += len(piece)
                yield piece
                now_s = time.monotonic()
                if now_s - window_start_s >= self._options.stall_timeout_s:
                    if window_bytes < self._options.lowest_rate_bytes_s * (now_s - window_start_s):
                        raise TransientFault("the line is slower than a stall")
                    window_start_s, window_bytes = now_s, 0
        except httpx.HTTPError as error:
            raise _translated(error, self.url) from error

    @contextmanager
    def _get(self, url: str, headers: dict[str, str], linked: _Linked) -> Generator[httpx.Response]:
        """Send a request and follow redirects; yields the first answer that is none."""
        import httpx

        response: httpx.Response | None = None
        for _ in range(MAX_REDIRECTS + 1):
            token = self._options.token
            extra = {}
            if token and self._options.token_origin and token_goes_to(url, self._options.token_origin):
                extra["Authorization"] = f"Bearer {token}"
            try:
                client = self._client_for(url)
                response = client.send(client.build_request("GET", url, headers=headers | extra), stream=True)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise DownloadFailed(f"the address can't be asked: {error}", place=self.url) from error
            except httpx.HTTPError as error:
                raise _translated(error, self.url) from error
            try:
                self._check_peer(response, url)
                if origin_of(url) == origin_of(self.url):
                    _note_links(response, linked)
                if response.status_code not in _REDIRECTS:
                    if response.headers.get("content-encoding", "identity") != "identity":
                        raise DownloadFailed(
                            "the server compresses the file, which hides its bytes", place=self.url
                        )
                    yield response
                    return
                url = resolve_redirect(url, response.headers.get("location"), start=self.url)
            finally:
                response.close()
            host = origin_of(url)[1]
            if host != origin_of(self.url)[1] and not self._is_proxied(url):
                check_addresses(url, self._look_up(host), start=self.url)
        raise DownloadFailed(f"the server redirects more than {MAX_REDIRECTS} times", place=self.url)

    def _client_for(self, url: str) -> httpx.Client:
        """The client of the address's scheme: reading all certificates is only worth its third of a second for https."""
        kind = "proxied" if self._is_proxied(url) else origin_of(url)[0]
        with self._lock:
            if kind not in self._clients:
                self._clients[kind] = self._open_client(encrypted=kind != "http", proxied=kind == "proxied")
            return self._clients[kind]

    def _is_proxied(self, url: str) -> bool:
        scheme, host, _ = origin_of(url)
        direct = any(host == name or host.endswith(f".{name}") for name in self._options.direct_hosts)
        return self._options.proxy is not None and scheme == "https" and not direct

    def _check_peer(self, response: httpx.Response, url: str) -> None:
        """The address that really answered must be one that was allowed, whatever the name server says by now."""
        if self._is_proxied(url):
            return
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if peer:
            check_addresses(url, [str(peer[0])], start=self.url)

    def _refusal(self, response: httpx.Response, facts: RemoteFacts | None = None) -> Exception:
        status = response.status_code
        if status in _TRANSIENT:
            after_s = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
            return TransientFault(f"the server answered {status}", after_s)
        if status in _GONE_OR_FORBIDDEN and facts is not None and facts.url != self.url:
            return FileChanged(
                f"the redirect target answered {status}"
            )  # a signed address that ran out: ask again
        fixes = {
            401: "the model needs a token: set HF_TOKEN",
            403: "accept the model's licence on the hub, and set HF_TOKEN",
            404: "check the name; a private model needs HF_TOKEN",
        }
        return DownloadFailed(f"the server answered {status}", place=self.url, fix=fixes.get(status, ""))


def addresses_of(host: str) -> list[str]:
    """The IP addresses of a host; empty where it has none (asking it will then fail by itself)."""
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


@cache
def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    """The system's certificates and httpx's own (a lean system has none); made once, since it takes a while."""
    if ca_file:
        return ssl.create_default_context(cafile=ca_file)
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


@cache
def _no_tls() -> ssl.SSLContext:
    """A context that trusts nobody, for a client that speaks plain http alone."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _translated(error: httpx.HTTPError, url: str) -> Exception:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return DownloadFailed(f"the server's certificate is not trusted: {text}", place=url)
    return TransientFault(text)


def _note_links(response: httpx.Response, linked: _Linked) -> None:
    sha256 = response.headers.get("x-linked-etag", "").strip('"')
    if _SHA256.fullmatch(sha256):
        linked.sha256 = sha256
    commit = response.headers.get("x-repo-commit", "")
    if _COMMIT.fullmatch(commit):
        linked.commit = commit
    size = response.headers.get("x-linked-size", "")
    if size.isascii() and size.isdigit():
        linked.size_bytes = int(size[:19])


def _check_same(response: httpx.Response, facts: RemoteFacts, total: int | None) -> None:
    etag = response.headers.get("etag", "")
    if etag and facts.etag and etag != facts.etag:
        raise FileChanged(f"its etag was {facts.etag} and is {etag}")
    if total is not None and total != facts.size_bytes:
        raise FileChanged(f"it was {facts.size_bytes} bytes long and is {total}")


def _content_length(response: httpx.Response) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text[:19]) if text.isascii() and text.isdigit() else None


def _content_range(response: httpx.Response) -> tuple[int, int, int | None]:
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    if found is None:
        raise TransientFault("the server sent a range without saying which")
    first, last, total = found.groups()
    return int(first), int(last), None if total == "*" else int(total)


def _total_of_nothing(response: httpx.Response) -> int | None:
    found = _CONTENT_RANGE_OF_NOTHING.fullmatch(response.headers.get("content-range", "").strip())
    return int(found[1]) if found else None
