"""``--input``: JSON text, ``@file`` or ``-`` as an object. Refuses what JSON doesn't allow, saying where."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from the_edge_agent.errors import UsageError

MAX_INPUT_BYTES = 256 * 1024 * 1024
_EXAMPLE = """write it like --input '{"question": "What is 2+2?"}', or use @file.json or - for stdin"""


def read_input(argument: str | None) -> dict[str, Any]:
    """The run's input. None means none was given.

    Raises:
        UsageError: naming the source, line and column.
    """
    if argument is None:
        return {}
    if argument == "-":
        stdin = sys.stdin
        data = stdin.buffer.read(MAX_INPUT_BYTES + 1) if stdin is not None else b""  # pyright: ignore[reportUnnecessaryComparison]
        return parse_input(_decode(data, "stdin"), "stdin")
    if argument.startswith("@"):
        return parse_input(_decode(_read(argument[1:]), argument[1:]), argument[1:])
    return parse_input(argument, "--input")


def parse_input(text: str, source: str) -> dict[str, Any]:
    """JSON text as an object. ``source`` is what error messages call it."""
    value = parse_json(text, source)
    if not isinstance(value, dict):
        kind = next(name for type_, name in _KINDS if isinstance(value, type_))
        raise UsageError(f"the input is {kind}, not an object", place=source, fix=_EXAMPLE)
    return value  # pyright: ignore[reportUnknownVariableType]


def parse_json(text: str, source: str) -> Any:
    """JSON text as a value. Refuses NaN and duplicate keys, which other readers would understand differently."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise UsageError("the input is empty", place=source, fix=_EXAMPLE) from None
        place = f"{source}:{error.lineno}:{error.colno}"
        raise UsageError(
            f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", place=place, fix=_EXAMPLE
        ) from None
    except RecursionError:
        raise UsageError("nested too deeply", place=source, fix="flatten the input") from None
    except ValueError as error:
        raise UsageError(f"not JSON: {error}", place=source, fix=_EXAMPLE) from None


def _read(name: str) -> bytes:
    path = Path(name).expanduser()
    try:
        with path.open("rb") as file:
            return file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        said = error.strerror or str(error)
        raise UsageError(
            f"can't read it: {said[:1].lower()}{said[1:]}",
            place=name or "@",
            fix="name a file that holds a JSON object",
        ) from None


def _decode(data: bytes, source: str) -> str:
    if len(data) > MAX_INPUT_BYTES:
        raise UsageError(
            f"the input is larger than {MAX_INPUT_BYTES:,} bytes",
            place=source,
            fix="let the agent read it as a file",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"byte {error.start:,} isn't UTF-8", place=source, fix="convert the input to UTF-8"
        ) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key!r} stands there twice")
            seen.add(key)
    return value


_KINDS: tuple[tuple[type, str], ...] = (
    (list, "a list"),
    (str, "a string"),
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (type(None), "null"),
)
