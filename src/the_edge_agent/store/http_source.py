"""One file behind HTTP: asked what it is, then asked for ranges of it. The only module of the store that opens sockets.

Follows redirects itself, hop by hop, so that each is judged before anything is sent and the token stays where it
belongs. Turns whatever a server or a line can do into four outcomes: bytes, a transient fault, "it is another file now",
or DownloadFailed. Knows nothing of chunks, of retries, or of what is on disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from the_edge_agent.errors import DownloadFailed
from the_edge_agent.store.address import check_addresses, origin_of, resolve_redirect, token_goes_to
from the_edge_agent.store.http_answer import (
    FileChanged,
    Linked,
    RangeIgnored,
    RemoteFacts,
    TransientFault,
    check_same,
    content_length,
    content_range,
    note_links,
    refusal_of,
    total_of_nothing,
    translated,
)
from the_edge_agent.store.http_options import (
    USER_AGENT,
    HttpOptions,
    addresses_of,
    is_proxied,
    no_tls,
    tls_context,
)

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)


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
                verify=tls_context(options.ca_file) if encrypted else no_tls(),
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
        linked = Linked()
        with self._get(self.url, {"Range": "bytes=0-0"}, linked) as response:
            if response.status_code == 206:
                _, _, total = content_range(response)
                size, ranges = total, True
            elif response.status_code == 200:
                size, ranges = content_length(response), False
            elif response.status_code == 416 and total_of_nothing(response) == 0:
                size, ranges = 0, False
            else:
                raise refusal_of(response, self.url)
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
        with self._get(facts.url, headers, Linked()) as response:
            if response.status_code == 200:
                check_same(response, facts, content_length(response))
                raise RangeIgnored
            if response.status_code == 416:
                raise FileChanged("it ends before the range that was asked for")
            if response.status_code != 206:
                raise refusal_of(response, self.url, facts)
            first, last, total = content_range(response)
            check_same(response, facts, total)
            if first != start or last >= end:
                raise TransientFault(f"the server sent bytes {first}-{last} for {start}-{end - 1}")
            yield self._pieces(response, end - start)

    @contextmanager
    def fetch_whole(self, facts: RemoteFacts) -> Generator[Iterator[bytes]]:
        """Stream the file from its first byte, for servers that know no ranges."""
        with self._get(facts.url, {}, Linked()) as response:
            if response.status_code != 200:
                raise refusal_of(response, self.url, facts)
            check_same(response, facts, content_length(response))
            yield self._pieces(response, facts.size_bytes)

    def read_all(self, *, most_bytes: int) -> bytes:
        """The whole answer, for small documents."""
        with self._get(self.url, {}, Linked()) as response:
            if response.status_code != 200:
                raise refusal_of(response, self.url)
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
            raise translated(error, self.url) from error

    @contextmanager
    def _get(self, url: str, headers: dict[str, str], linked: Linked) -> Generator[httpx.Response]:
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
                raise translated(error, self.url) from error
            try:
                self._check_peer(response, url)
                if origin_of(url) == origin_of(self.url):
                    note_links(response, linked)
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
            if host != origin_of(self.url)[1] and not is_proxied(url, self._options):
                check_addresses(url, self._look_up(host), start=self.url)
        raise DownloadFailed(f"the server redirects more than {MAX_REDIRECTS} times", place=self.url)

    def _client_for(self, url: str) -> httpx.Client:
        """The client of the address's scheme: reading all certificates is only worth its third of a second for https."""
        kind = "proxied" if is_proxied(url, self._options) else origin_of(url)[0]
        with self._lock:
            if kind not in self._clients:
                self._clients[kind] = self._open_client(encrypted=kind != "http", proxied=kind == "proxied")
            return self._clients[kind]

    def _check_peer(self, response: httpx.Response, url: str) -> None:
        """The address that really answered must be one that was allowed, whatever the name server says by now."""
        if is_proxied(url, self._options):
            return
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if peer:
            check_addresses(url, [str(peer[0])], start=self.url)
