"""file.read and file.write over the file port. Which folders are open is the permission's; the port holds to it."""

from __future__ import annotations

import base64
import binascii
import json
import os.path
from typing import Any

from the_edge_agent.engine.action import ActionContext
from the_edge_agent.engine.ports import FilePort
from the_edge_agent.errors import ActionParamsInvalid, FileActionFailed, PermissionDenied
from the_edge_agent.inference import JsonObject, JsonValue

DEFAULT_MAX_BYTES = 10_000_000


async def read(params: JsonObject, context: ActionContext) -> JsonValue:
    """Read a file: {content, path, size_bytes}. Raises FileActionFailed, PermissionDenied."""
    path = str(params["path"])
    max_bytes: Any = params.get("max_bytes", DEFAULT_MAX_BYTES)
    data = await _port(context).read(_place(path, context), roots=_roots(context), max_bytes=max_bytes)
    return {
        "content": _from_bytes(data, str(params.get("format", "text")), path),
        "path": path,
        "size_bytes": len(data),
    }


async def write(params: JsonObject, context: ActionContext) -> JsonValue:
    """Write a file: {path, size_bytes}. Raises FileActionFailed, PermissionDenied, ActionParamsInvalid."""
    path = str(params["path"])
    data = _to_bytes(params["content"], str(params.get("format", "text")))
    append = params.get("append") is True
    await _port(context).write(_place(path, context), data, roots=_roots(context), append=append)
    return {"path": path, "size_bytes": len(data)}


def _port(context: ActionContext) -> FilePort:
    if context.ports.files is None:
        raise PermissionDenied("this run has no files", fix="run it where files are available")
    return context.ports.files


def _place(path: str, context: ActionContext) -> str:
    return os.path.join(context.base_dir, path)  # noqa: PTH118 - the port knows what a path is


def _roots(context: ActionContext) -> tuple[str, ...]:
    return tuple(_place(folder, context) for folder in context.permissions.files)


def _from_bytes(data: bytes, form: str, path: str) -> JsonValue:
    if form == "base64":
        return base64.b64encode(data).decode()
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text) if form == "json" else text
    except UnicodeDecodeError as error:
        raise FileActionFailed(
            f"{path} is no UTF-8 text (byte {error.start})", fix="read it with format: base64"
        ) from error
    except (ValueError, RecursionError) as error:
        raise FileActionFailed(
            f"{path} is no JSON: {error}", fix="mend the file, or read it as text"
        ) from error


def _to_bytes(content: JsonValue, form: str) -> bytes:
    if form == "json":
        return json.dumps(content, ensure_ascii=False, indent=2).encode("utf-8", "surrogatepass") + b"\n"
    if not isinstance(content, str):
        if form == "base64":
            raise ActionParamsInvalid(
                "content is no text, and format base64 takes one", fix="use format: json"
            )
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if form == "base64":
        try:
            return base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise ActionParamsInvalid(f"content is no base64: {error}", fix="use format: text") from error
    return content.encode("utf-8", "replace")
