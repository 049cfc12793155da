"""What a static web server answers: a file for a path, the bytes of a range, the headers. Decides; opens no socket.

Every answer carries the headers that a page of the web bundle needs: COOP and COEP (threads), and a policy that lets
no request leave the origin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

CONTENT_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".yaml": "text/yaml; charset=utf-8",
    ".zip": "application/zip",
}

#: Pyodide and wllama compile WebAssembly, and wllama's threads start from a blob.
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; img-src 'self' data: blob:; style-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'none'"
)
ISOLATION: Mapping[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ALWAYS: Mapping[str, str] = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, its headers, and bytes ``start`` to ``end`` of ``file`` (none where there is no file)."""

    status: HTTPStatus
    headers: Mapping[str, str]
    file: Path | None = None
    start: int = 0
    end: int = 0


def answer_for(root: Path, target: str, headers: Mapping[str, str], *, isolated: bool = True) -> Answer:
    """What a GET of ``target`` gets. ``headers`` are the request's, by lower-case name; ``root`` is resolved."""
    common = {**_ALWAYS, **(ISOLATION if isolated else {})}
    path = urlsplit(target).path
    file = find_file(root, path)
    if file is None:
        return Answer(HTTPStatus.NOT_FOUND, common)
    if file.is_dir():
        if not path.endswith("/"):
            # A relative Location stays on this server whatever the path looks like ("//host" would not).
            location = f"./{path.rstrip('/').rsplit('/', 1)[-1]}/"
            return Answer(HTTPStatus.MOVED_PERMANENTLY, {**common, "Location": location})
        file = file / "index.html"
        if not file.is_file():
            return Answer(HTTPStatus.NOT_FOUND, common)
    stat = file.stat()
    tag = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}"'
    common["ETag"] = tag
    common["Content-Type"] = CONTENT_TYPES.get(file.suffix.lower(), "application/octet-stream")
    if tag in (entry.strip() for entry in headers.get("if-none-match", "").split(",")):
        return Answer(HTTPStatus.NOT_MODIFIED, common)
    return _ranged(file, stat.st_size, tag, headers, common)


def _ranged(file: Path, size: int, tag: str, headers: Mapping[str, str], common: Mapping[str, str]) -> Answer:
    asked = headers.get("range")
    if asked is None or headers.get("if-range", tag) != tag:
        return Answer(HTTPStatus.OK, common, file, 0, size)
    span = parse_range(asked, size)
    if span is None:
        return Answer(HTTPStatus.OK, common, file, 0, size)
    start, end = span
    if start >= end:
        return Answer(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {**common, "Content-Range": f"bytes */{size}"}
        )
    return Answer(
        HTTPStatus.PARTIAL_CONTENT,
        {**common, "Content-Range": f"bytes {start}-{end - 1}/{size}"},
        file,
        start,
        end,
    )


def find_file(root: Path, path: str) -> Path | None:
    """The file or folder that a URL's path names below ``root``; None where there is none, or it lies elsewhere."""
    try:
        parts = unquote(path, errors="strict").split("/")
        if any(part in ("..", ".") or "\0" in part or "\\" in part or part.startswith(".") for part in parts):
            return None
        file = root.joinpath(*(part for part in parts if part)).resolve(strict=True)
    except (OSError, ValueError):
        return None
    return file if file.is_relative_to(root) and (file.is_file() or file.is_dir()) else None


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last, of a single range; None for what may be ignored (RFC 9110, 14.2).

    An empty span means that nothing of it lies in the file.
    """
    match = re.fullmatch(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", header)
    if match is None or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return None if not last else (max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size
