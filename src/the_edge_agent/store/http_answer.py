"""What a server's answer says of a file: its length, the range that came, its digest, and which faults are worth a retry.

Turns whatever a server can answer into a transient fault, "it is another file now", or DownloadFailed. Decides on
headers and status alone; knows nothing of connections, redirects or bodies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from the_edge_agent.errors import DownloadFailed
from the_edge_agent.store.backoff import parse_retry_after

if TYPE_CHECKING:
    import httpx


_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.IGNORECASE)
_CONTENT_RANGE_OF_NOTHING = re.compile(r"bytes \*/(\d{1,19})", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
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
class RemoteFacts:
    """What a server says of a file. ``sha256`` and ``commit`` come from the hub's own headers, else they are empty."""

    url: str
    size_bytes: int
    etag: str = ""
    takes_ranges: bool = True
    sha256: str = ""
    commit: str = ""


@dataclass(slots=True)
class Linked:
    """What the first host says of the file before it sends us elsewhere."""

    sha256: str = ""
    commit: str = ""
    size_bytes: int | None = None


def translated(error: httpx.HTTPError, url: str) -> Exception:
    """What httpx raised, as the store's own error: a line that broke is worth another try."""
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return DownloadFailed(f"the server's certificate is not trusted: {text}", place=url)
    return TransientFault(text)


def note_links(response: httpx.Response, linked: Linked) -> None:
    """Keep what the hub's own headers say of a file that lies elsewhere."""
    sha256 = response.headers.get("x-linked-etag", "").strip('"')
    if _SHA256.fullmatch(sha256):
        linked.sha256 = sha256
    commit = response.headers.get("x-repo-commit", "")
    if _COMMIT.fullmatch(commit):
        linked.commit = commit
    size = response.headers.get("x-linked-size", "")
    if size.isascii() and size.isdigit():
        linked.size_bytes = int(size[:19])


def check_same(response: httpx.Response, facts: RemoteFacts, total: int | None) -> None:
    """Raises FileChanged where the answer is of another file than ``facts``."""
    etag = response.headers.get("etag", "")
    if etag and facts.etag and etag != facts.etag:
        raise FileChanged(f"its etag was {facts.etag} and is {etag}")
    if total is not None and total != facts.size_bytes:
        raise FileChanged(f"it was {facts.size_bytes} bytes long and is {total}")


def content_length(response: httpx.Response) -> int | None:
    """How long the body is; None where the server doesn't say."""
    text = response.headers.get("content-length", "")
    return int(text[:19]) if text.isascii() and text.isdigit() else None


def content_range(response: httpx.Response) -> tuple[int, int, int | None]:
    """First byte, last byte and length of the file. Raises TransientFault where the server doesn't say."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    if found is None:
        raise TransientFault("the server sent a range without saying which")
    first, last, total = found.groups()
    return int(first), int(last), None if total == "*" else int(total)


def total_of_nothing(response: httpx.Response) -> int | None:
    """The file's length in a refusal of a range; None where the server doesn't say."""
    found = _CONTENT_RANGE_OF_NOTHING.fullmatch(response.headers.get("content-range", "").strip())
    return int(found[1]) if found else None


def refusal_of(response: httpx.Response, start: str, facts: RemoteFacts | None = None) -> Exception:
    """The error for an answer without the file; ``start`` is the address that was asked first."""
    status = response.status_code
    if status in _TRANSIENT:
        after_s = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
        return TransientFault(f"the server answered {status}", after_s)
    if status in _GONE_OR_FORBIDDEN and facts is not None and facts.url != start:
        # A signed address that ran out: ask again.
        return FileChanged(f"the redirect target answered {status}")
    fixes = {
        401: "the model needs a token: set HF_TOKEN",
        403: "accept the model's licence on the hub, and set HF_TOKEN",
        404: "check the name; a private model needs HF_TOKEN",
    }
    return DownloadFailed(f"the server answered {status}", place=start, fix=fixes.get(status, ""))
