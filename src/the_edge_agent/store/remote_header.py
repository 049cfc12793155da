"""The header of a model that is still on its server: fetched by ranges, a few megabytes of many gigabytes."""

from __future__ import annotations

from the_edge_agent.errors import DownloadFailed
from the_edge_agent.gguf.header import GgufHeader
from the_edge_agent.gguf.reader import parse_header
from the_edge_agent.store.backoff import Backoff
from the_edge_agent.store.http_answer import FileChanged, RangeIgnored, RemoteFacts
from the_edge_agent.store.http_options import HttpOptions
from the_edge_agent.store.http_source import HttpSource
from the_edge_agent.store.patience import ask_patiently

_BLOCK_BYTES = 2 * 1024 * 1024


class _RemoteBytes:
    """A ByteSource over HTTP: blocks are fetched once, as the reader comes to them."""

    def __init__(self, source: HttpSource, facts: RemoteFacts, backoff: Backoff) -> None:
        self.name = source.url
        self.size_bytes = facts.size_bytes
        self._source = source
        self._facts = facts
        self._backoff = backoff
        self._blocks: dict[int, bytes] = {}

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """Bytes from ``offset``, fetched where they aren't there yet."""
        first, last = offset // _BLOCK_BYTES, (offset + max(size_bytes, 1) - 1) // _BLOCK_BYTES
        data = b"".join(self._block(index) for index in range(first, last + 1))
        start = offset - first * _BLOCK_BYTES
        return data[start : start + size_bytes]

    def _block(self, index: int) -> bytes:
        start = index * _BLOCK_BYTES
        end = min(start + _BLOCK_BYTES, self.size_bytes)
        if start >= end:
            return b""
        if index not in self._blocks:
            self._blocks = {index: ask_patiently(lambda: self._fetch(start, end), self.name, self._backoff)}
        return self._blocks[index]

    def _fetch(self, start: int, end: int) -> bytes:
        try:
            with self._source.fetch(start, end, self._facts) as pieces:
                return b"".join(pieces)
        except (RangeIgnored, FileChanged) as error:
            raise DownloadFailed(
                "the server doesn't serve parts of the file", place=self.name, fix="pull it first"
            ) from error


def read_remote_header(url: str, http: HttpOptions, backoff: Backoff | None = None) -> GgufHeader:
    """Read and check the header of the file at ``url``. Raises GgufInvalid, DownloadFailed."""
    source = HttpSource(url, http, connections=1)
    try:
        facts = ask_patiently(source.probe, url, backoff or Backoff())
        return parse_header(_RemoteBytes(source, facts, backoff or Backoff()))
    finally:
        source.close()
