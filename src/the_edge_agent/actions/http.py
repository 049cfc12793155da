"""http.get and http.post over the HTTP port. Knows nothing of sockets; hosts are checked here and in the port again."""

from __future__ import annotations

import base64
import email.utils
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlencode, urlsplit, urlunsplit

from the_edge_agent.engine.action import ActionContext
from the_edge_agent.engine.permissions import host_allowed, host_of
from the_edge_agent.engine.ports import HttpResponse
from the_edge_agent.errors import ActionParamsInvalid, HttpFailed, PermissionDenied
from the_edge_agent.inference import JsonObject, JsonValue

DEFAULT_TIMEOUT_S = 30.0
DEFAULT_MAX_BYTES = 10_000_000
#: So much of a failing answer's body goes into the error.
_SHOWN_BODY = 200


async def get(params: JsonObject, context: ActionContext) -> JsonValue:
    """Fetch a URL: {status, headers, body, url}."""
    return await _exchange("GET", params, {}, None, context)


async def post(params: JsonObject, context: ActionContext) -> JsonValue:
    """Send a body to a URL: {status, headers, body, url}."""
    given = [name for name in ("json", "form", "body") if name in params]
    if len(given) > 1:
        raise ActionParamsInvalid(f"http.post got {' and '.join(given)}", fix="give one body")
    if "json" in params:
        return await _exchange(
            "POST", params, {"content-type": "application/json"}, _utf8(json.dumps(params["json"])), context
        )
    if "form" in params:
        form = urlencode(_texts(params["form"], "form"))
        return await _exchange(
            "POST", params, {"content-type": "application/x-www-form-urlencoded"}, form.encode(), context
        )
    body = _utf8(str(params.get("body", "")))
    return await _exchange("POST", params, {"content-type": "text/plain; charset=utf-8"}, body, context)


async def _exchange(
    method: str,
    params: JsonObject,
    default_headers: Mapping[str, str],
    body: bytes | None,
    context: ActionContext,
) -> JsonValue:
    url = _with_query(str(params["url"]), params.get("params"))
    allowed = context.permissions.net
    host = host_of(url)
    if not host_allowed(host, allowed):
        raise PermissionDenied(
            f"this run may not ask {host!r}",
            fix=f"name the host in settings.permissions.net and allow it: --allow-net {host}",
        )
    port = context.ports.http
    if port is None:
        raise PermissionDenied("this run has no network", fix="run it where HTTP is available")
    headers = {
        **default_headers,
        **{name.lower(): text for name, text in _texts(params.get("headers"), "headers")},
    }
    timeout_s: Any = params.get("timeout_s", DEFAULT_TIMEOUT_S)
    max_bytes: Any = params.get("max_bytes", DEFAULT_MAX_BYTES)
    response = await port.request(
        method,
        url,
        headers=headers,
        body=body,
        timeout_s=min(timeout_s, context.deadline_s or timeout_s),
        max_bytes=max_bytes,
        allowed_hosts=allowed,
    )
    if response.status >= 400:
        raise HttpFailed(
            f"{method} {host} answered {response.status}: {response.body[:_SHOWN_BODY].decode('utf-8', 'replace')}",
            fix="check the address and what was sent",
            status=response.status,
            retry_after_s=retry_after_s(response.headers.get("retry-after"), time.time()),
        )
    return {
        "status": response.status,
        "headers": dict(response.headers),
        "body": parsed_body(response, str(params.get("parse", "auto"))),
        "url": response.url,
    }


def parsed_body(response: HttpResponse, parse: str) -> JsonValue:
    """The body as ``parse`` says; ``auto`` goes by the content type. Raises HttpFailed where it isn't that."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if parse == "auto":
        textual = content_type.startswith("text/") or content_type in {
            "",
            "application/xml",
            "application/yaml",
        }
        is_json = content_type == "application/json" or content_type.endswith("+json")
        parse = "json" if is_json else "text" if textual else "base64"
    if parse == "base64":
        return base64.b64encode(response.body).decode()
    if parse == "text":
        return response.body.decode("utf-8", "replace")
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise HttpFailed(
            f"the answer of {response.url} is no JSON: {error}", fix="use parse: text", status=response.status
        ) from error


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None where it says nothing usable."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return None


def _with_query(url: str, query: Any) -> str:
    if not query:
        return url
    parts = urlsplit(url)
    added = urlencode(_texts(query, "params"))
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))


def _texts(value: Any, name: str) -> list[tuple[str, str]]:
    """Names and values as texts; a list gives its name several times."""
    pairs: list[tuple[str, str]] = []
    given: Mapping[str, Any] = value or {}
    for key, entry in given.items():
        entries = cast(Sequence[Any], entry) if isinstance(entry, list | tuple) else (entry,)
        for one in entries:
            if one is None or isinstance(one, Mapping):
                raise ActionParamsInvalid(f"{name}.{key} is no text or number", fix="give a text")
            text = ("true" if one else "false") if isinstance(one, bool) else str(one)
            if name == "headers" and set("\r\n") & {*key, *text}:
                raise ActionParamsInvalid(f"the header {key!r} has a line break", fix="remove it")
            pairs.append((key, text))
    return pairs


def _utf8(text: str) -> bytes:
    """Lone surrogates can't leave as UTF-8; they become question marks."""
    return text.encode("utf-8", "replace")
