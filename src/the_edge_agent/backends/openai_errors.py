"""The one table from an API's failures to our errors; pure. Texts of the server are shown, shortened, never trusted.

=====================  ================================================================================
401, 403               AuthFailed, naming the variable that holds the key
408, 504               BackendTimeout
429                    RateLimited with Retry-After
503, 529               RateLimited where the server says when to come back, else BackendUnavailable
other 5xx              BackendUnavailable
3xx                    BackendError: a prompt isn't carried to another place
400 and other 4xx      ContextLengthExceeded where the server says so, else BackendError with its words
=====================  ================================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from the_edge_agent.backends.openai_wire import is_object
from the_edge_agent.errors import (
    AuthFailed,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ContextLengthExceeded,
    EdgeAgentError,
    RateLimited,
)

LONGEST_WAIT_S = 86_400.0
_NUMBERS = re.compile(r"\d{2,9}")


def status_error(
    status: int, headers: Mapping[str, str], body: bytes, *, place: str, key_env: str, now_s: float
) -> EdgeAgentError:
    """The error for an answer that isn't 200."""
    detail, code = parse_detail(body)
    said = f": {detail}" if detail else ""
    wait_s = parse_retry_after(headers, now_s=now_s)
    if status in (401, 403):
        return AuthFailed(
            f"the API refused the key (status {status}){said}",
            place=place,
            fix=f"check the variable {key_env}",
        )
    if status in (408, 504):
        return BackendTimeout(
            f"the API gave up waiting (status {status}){said}", place=place, fix="retry later"
        )
    if status == 429 and code == "insufficient_quota":
        return BackendError(f"the API's quota is used up{said}", place=place, fix="check the account")
    if status == 429 or (status in (503, 529) and wait_s is not None):
        when = f"retry after {wait_s:g} s" if wait_s is not None else "retry later"
        return RateLimited(
            f"the API is busy (status {status}){said}", place=place, fix=when, retry_after_s=wait_s
        )
    if status >= 500:
        return BackendUnavailable(f"the API failed (status {status}){said}", place=place, fix="retry later")
    if 300 <= status < 400:
        return BackendError(
            f"the API redirects to {_origin_of(headers.get('location', ''))}",
            place=place,
            fix="give the final address as base_url; prompts and keys aren't carried to another place",
        )
    if code == "context_length_exceeded" or "context length" in detail.lower() or "n_ctx" in detail:
        return _context_error(detail, place)
    return BackendError(
        f"the API refused the request (status {status}){said}", place=place, fix="change the request"
    )


def stream_error(event: Mapping[str, Any], *, place: str) -> EdgeAgentError:
    """The error for ``{"error": ...}`` in the middle of a stream."""
    detail, code = parse_detail(json.dumps(event).encode())
    if code == "context_length_exceeded":
        return _context_error(detail, place)
    if code in ("rate_limit_exceeded", "429"):
        return RateLimited(f"the API broke off: {detail}", place=place, fix="retry later")
    return BackendUnavailable(f"the API broke off: {detail or 'no reason given'}", place=place, fix="retry")


def parse_retry_after(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Seconds to wait, from ``retry-after-ms`` or ``retry-after`` (seconds or a date); None where there is none."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            wait_s = float(text) * unit
        except ValueError:
            try:
                wait_s = parsedate_to_datetime(text).timestamp() - now_s
            except (ValueError, TypeError, OverflowError):
                continue
        if wait_s == wait_s:  # noqa: PLR0124 - NaN
            return min(max(wait_s, 0.0), LONGEST_WAIT_S)
    return None


def parse_detail(body: bytes) -> tuple[str, str]:
    """What the server said and its code, from the usual shapes: {error: {message, code}}, {error: text}, {message}."""
    text = body[:4000].decode("utf-8", "replace").strip()
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return " ".join(text.split())[:300] if not text.startswith("<") else "", ""
    if not is_object(value):
        return text[:300], ""
    error = value.get("error", value)
    if not is_object(error):
        return str(error)[:300], ""
    detail = error.get("message") or error.get("detail") or text
    code = error.get("code") or error.get("type") or ""
    return " ".join(str(detail).split())[:300], str(code)


def _context_error(detail: str, place: str) -> ContextLengthExceeded:
    numbers = sorted(int(number) for number in _NUMBERS.findall(detail))
    n_ctx, needed = (numbers[0], numbers[-1]) if len(numbers) > 1 else (0, numbers[0] if numbers else 0)
    return ContextLengthExceeded(
        f"the prompt doesn't fit the model's context: {detail}",
        place=place,
        fix="shorten it, or set on_overflow",
        needed=needed,
        n_ctx=n_ctx,
    )


def _origin_of(location: str) -> str:
    match = re.match(r"^(https?://)?[^/?#@]*", location)
    return match.group()[:100] if match and match.group() else "nowhere"
