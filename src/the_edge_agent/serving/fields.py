"""Reading fields of request bodies: by name, by type, with an error that names the field. Knows no particular API."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, cast

from the_edge_agent.errors import ActionParamsInvalid
from the_edge_agent.inference import ImagePart

Body = Mapping[str, Any]
#: Beyond it no field means anything; NaN and infinity (Python's JSON reader takes both) aren't below it either.
MAX_NUMBER = 1e300


def wrong(name: str, value: Any, fix: str) -> ActionParamsInvalid:
    """The error for a field."""
    return ActionParamsInvalid(f"{name} is {value!r:.80}", place=name, fix=fix)


def text_field(body: Body, name: str, default: str = "") -> str:
    """A string; null counts as absent."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise wrong(name, value, "give a string")
    return value


def flag_field(body: Body, name: str, *, default: bool = False) -> bool:
    """A boolean; null counts as absent."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong(name, value, "give true or false")
    return value


def number_field(body: Body, name: str, default: float) -> float:
    """A finite number; null counts as absent."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_NUMBER:
        raise wrong(name, value, "give a number")
    return float(value)


def whole_field(body: Body, name: str) -> int | None:
    """A whole number; null counts as absent."""
    value = body.get(name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not abs(value) <= MAX_NUMBER
        or value != int(value)
    ):
        raise wrong(name, value, "give a whole number")
    return int(value)


def list_field(body: Body, name: str) -> list[Any]:
    """A list; null counts as absent."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(name, value, "give a list")
    return cast("list[Any]", value)


def object_field(body: Body, name: str) -> dict[str, Any]:
    """An object; null counts as absent."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(name, value, "give an object")
    return cast("dict[str, Any]", value)


def texts_field(body: Body, name: str) -> tuple[str, ...]:
    """A string or a list of strings; null counts as absent."""
    value = body.get(name)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in cast("list[Any]", value)):
        return tuple(cast("list[str]", value))
    raise wrong(name, value, "give a string or a list of strings")


def seed_field(body: Body) -> int | None:
    """A seed; -1, as llama.cpp has it, and null draw one."""
    seed = whole_field(body, "seed")
    return None if seed is None or seed < 0 else seed % 2**32


def check_schema_size(schema: Any, limit_bytes: int, place: str) -> None:
    """Refuse a schema that is larger than the limit. Raises ActionParamsInvalid."""
    size_bytes = len(json.dumps(schema))
    if size_bytes > limit_bytes:
        raise ActionParamsInvalid(
            f"the schema has {size_bytes} bytes and {limit_bytes} are allowed", place=place
        )


def decode_image(text: str, place: str) -> ImagePart:
    """An image from base64 or a data: URL; nothing is ever fetched. Raises ActionParamsInvalid."""
    mime_type = "image/png"
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        mime_type = head.removeprefix("data:").partition(";")[0] or mime_type
    elif text.startswith(("http:", "https:", "file:")):
        raise ActionParamsInvalid(
            "an image's address is not fetched", place=place, fix="send it as a data: URL"
        )
    try:
        return ImagePart(base64.b64decode(text, validate=True), mime_type)
    except (binascii.Error, ValueError):
        raise ActionParamsInvalid("the image isn't base64", place=place) from None
