"""Finds tool calls in what a model wrote. Pure; knows nothing of the tools beyond their names.

Formats: ``<tool_call>{...}</tool_call>`` (Hermes, Qwen, the embedded model), ``<function=NAME>...</function>`` with JSON
or ``<parameter=NAME>`` inside (Llama, Qwen Coder), ``[TOOL_CALLS]`` (Mistral, both of its shapes), ``<|tool_call|>[...]``
(Phi), ``<|python_tag|>`` or a bare JSON object (Llama 3), a fenced block of JSON (Gemma).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from the_edge_agent.inference import ToolCall

MISTRAL = "[TOOL_CALLS]"
MARKERS = (
    "<tool_call>",
    MISTRAL,
    "<|tool_call|>",
    "<|python_tag|>",
    "<function=",
    "```json",
    "```tool",
)
#: A text that begins like this may be a call without any marker.
BARE_STARTS = ("{", "[")
MAX_CALLS = 32
ID_LENGTH = 9  # some templates insist on nine characters

_FUNCTION = re.compile(r"<function=([^>\s]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?(?:</parameter>|\Z)", re.DOTALL)
_MISTRAL_NAMED = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*(?:\[ARGS\])?\s*(?=\{)")
_DECODER = json.JSONDecoder()


def parse_tool_calls(text: str, names: Collection[str]) -> tuple[str, tuple[ToolCall, ...]]:
    """What was said beside the calls, and the calls, in order.

    A call without a marker only counts if it names one of ``names``; one behind a marker always does, so that whoever
    runs tools can refuse it by name. Text in which no call is found comes back unchanged.
    """
    bare = _read_bare(text, names)
    if bare:
        return "", _numbered(bare, text)
    position = find_marker(text, _end_of_bare(text))  # what JSON quotes is no marker
    if position < 0:
        return text, ()
    said, rest = text[:position], text[position:]
    calls = _read_marked(rest, names)
    return (said.rstrip(), _numbered(calls, text)) if calls else (text, ())


def find_marker(text: str, start: int = 0) -> int:
    """Where the first marker from ``start`` on begins, or -1."""
    found = [position for marker in MARKERS if (position := text.find(marker, start)) >= 0]
    return min(found, default=-1)


def may_begin_call(text: str) -> int:
    """How many characters of ``text`` can be shown now without showing the beginning of a call."""
    if text.lstrip().startswith(BARE_STARTS):
        return 0
    position = find_marker(text)
    if position >= 0:
        return position
    longest = max(map(len, MARKERS))
    for length in range(min(longest - 1, len(text)), 0, -1):
        tail = text[-length:]
        if any(marker.startswith(tail) for marker in MARKERS):
            return len(text) - length
    return len(text)


def _read_marked(text: str, names: Collection[str]) -> list[tuple[str, str]]:
    calls: list[tuple[str, str]] = []
    if _speaks_functions(text):
        found = [(match[1], _function_arguments(match[2])) for match in _FUNCTION.finditer(text)]
        return found[:MAX_CALLS]
    if text.startswith(MISTRAL):
        position = 0
        while position >= 0 and len(calls) < MAX_CALLS:
            named = _MISTRAL_NAMED.match(text, position + len(MISTRAL))
            value, end = _decode(text, named.end() if named else position + len(MISTRAL))
            if not named:
                calls.extend(_from_value(value))
            elif isinstance(value, dict):
                calls.append((named[1], json.dumps(value, ensure_ascii=False)))
            position = text.find(MISTRAL, end)  # behind the arguments: what they quote is no call
        return calls[:MAX_CALLS]
    fenced = text.startswith("```")
    position = 0
    while len(calls) < MAX_CALLS:
        position = _next_json(text, position)
        if position < 0:
            break
        value, position = _decode(text, position)
        calls.extend(call for call in _from_value(value) if not fenced or call[0] in names)
    return calls[:MAX_CALLS]


def _speaks_functions(text: str) -> bool:
    """Whether the calls are ``<function=...>``, and not JSON that mentions one."""
    position = text.find("<function=")
    marker = next((marker for marker in MARKERS if text.startswith(marker)), "")
    return position >= 0 and not 0 <= _next_json(text, len(marker)) < position


def _end_of_bare(text: str) -> int:
    """Where a JSON value ends that the text begins with; 0 if it doesn't."""
    value, end = _decode(text, 0) if text.lstrip().startswith(BARE_STARTS) else (None, 0)
    return 0 if value is None else end


def _read_bare(text: str, names: Collection[str]) -> list[tuple[str, str]]:
    stripped = text.strip()
    if not stripped.startswith(BARE_STARTS):
        return []
    calls: list[tuple[str, str]] = []
    position = 0
    while 0 <= position < len(stripped):
        value, end = _decode(stripped, position)
        found = _from_value(value)
        if not found or any(name not in names for name, _ in found):
            return []
        calls.extend(found)
        rest = re.compile(r"[\s;,]*").match(stripped, end)
        position = rest.end() if rest else end
    return calls[:MAX_CALLS]


def _from_value(value: Any) -> list[tuple[str, str]]:
    """Calls in a JSON value: an object with a name and arguments, or a list of such."""
    if isinstance(value, list):
        entries = cast("list[Any]", value)
        return [call for entry in entries for call in _from_value(entry)]
    if not isinstance(value, dict):
        return []
    entry = cast("dict[str, Any]", value)
    if isinstance(entry.get("function"), Mapping):
        entry = dict(entry["function"])
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        return []
    arguments = entry.get("arguments", entry.get("parameters", {}))
    if isinstance(arguments, str):
        return [(name, arguments)]
    return [(name, json.dumps(arguments, ensure_ascii=False))]


def _function_arguments(body: str) -> str:
    parameters = _PARAMETER.findall(body)
    if not parameters:
        return body.strip() or "{}"
    values: dict[str, Any] = {}
    for name, text in parameters:
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return json.dumps(values, ensure_ascii=False)


def _next_json(text: str, position: int) -> int:
    found = [place for char in "{[" if (place := text.find(char, position)) >= 0]
    return min(found, default=-1)


def _decode(text: str, position: int) -> tuple[Any, int]:
    """The JSON value at a position and where it ends; None and the end of the text where there is none."""
    while position < len(text) and text[position].isspace():
        position += 1
    try:
        return _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):
        return None, len(text)


def _numbered(calls: list[tuple[str, str]], text: str) -> tuple[ToolCall, ...]:
    """IDs from the text itself, so that a replay gives the same ones."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return tuple(
        ToolCall(f"{digest[: ID_LENGTH - 2]}{index:02d}", name, arguments)
        for index, (name, arguments) in enumerate(calls)
    )
