"""Forty schemas of all kinds: whatever the embedded model answers, greedy or hot, is an instance of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import the_edge_agent
from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.inference import ChatRequest, Message, ResponseFormat, SamplingParams, collect
from the_edge_agent.inference.json_schema import validate

TINY = Path(the_edge_agent.__file__).parent / "store" / "embedded" / "tiny.gguf"


def text(**more: Any) -> dict[str, Any]:
    return {"type": "string", "maxLength": 10, **more}


def record(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def items(of: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": of, "maxItems": 4, **more}


TREE = {
    "$defs": {"node": record(["name"], name=text(maxLength=4), left={"$ref": "#/$defs/leaf"}), "leaf": record(v={"type": "boolean"})},
    "$ref": "#/$defs/node",
}  # fmt: skip
SCHEMAS: dict[str, Any] = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -9999, "maximum": 9999},
    "natural": {"type": "integer", "minimum": 0, "maximum": 255},
    "narrow range": {"type": "integer", "minimum": 37, "maximum": 41},
    "negative range": {"type": "integer", "minimum": -20, "maximum": -11},
    "exclusive range": {"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 12},
    "number": {"type": "number", "minimum": 0, "maximum": 1},
    "number range": {"type": "number", "minimum": -2.5, "maximum": 10.25},
    "text": text(),
    "empty text": text(maxLength=0),
    "text of a length": text(minLength=3, maxLength=5),
    "date": {"type": "string", "format": "date"},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
    "pattern of choices": {"type": "string", "pattern": "^(red|green|blue)$"},
    "enum": {"enum": ["positive", "negative", "neutral"]},
    "mixed enum": {"enum": [1, "one", None, True, 1.5, ["a"], {"b": 2}]},
    "const": {"const": {"fixed": [1, 2, "drei"]}},
    "unicode enum": {"enum": ["größe", "日本語", "🙂", 'a"b\\c\n']},
    "array": items(text()),
    "array of a length": items({"type": "integer", "minimum": 0, "maximum": 9}, minItems=2, maxItems=3),
    "empty array": items(text(), maxItems=0),
    "array of arrays": items(items({"type": "boolean"}, maxItems=2), maxItems=3),
    "object": record(name=text(), age={"type": "integer", "minimum": 0, "maximum": 120}),
    "optional": record(["id"], id={"type": "integer", "minimum": 1, "maximum": 99}, note=text(), flag={"type": "boolean"}),
    "all optional": record([], a=text(), b=text(), c=text()),
    "unicode names": record(größe={"type": "integer", "minimum": 0, "maximum": 9}, **{"日本": text(), 'say "hi"': text()}),
    "empty object": record(),
    "nested": record(person=record(name=text(), address=record(city=text(), zip={"type": "string", "pattern": "^[0-9]{5}$"}))),
    "deep": record(a=record(b=record(c=record(d=record(e={"type": "boolean"}))))),
    "list of objects": items(record(name=text(maxLength=5), done={"type": "boolean"}), maxItems=3),
    "union of types": {"type": ["string", "null"], "maxLength": 6},
    "anyOf": {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 3}]},
    "anyOf objects": {"anyOf": [record(kind={"const": "a"}, n={"type": "boolean"}), record(kind={"const": "b"}, s=text())]},
    "oneOf": {"oneOf": [{"type": "null"}, {"enum": ["x", "y"]}]},
    "union inside": record(value={"anyOf": [text(), {"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]}),
    "reference": TREE,
    "map": {"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 1, "maxProperties": 1},
    "extraction": record(
        name=text(maxLength=20), date={"type": "string", "format": "date"}, amount={"type": "number", "minimum": 0, "maximum": 10_000}
    ),
    "tool call": record(tool={"enum": ["add", "search"]}, arguments=record([], a={"type": "integer", "minimum": 0, "maximum": 99}, query=text())),
}  # fmt: skip


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    loaded = LocalBackend.load(TINY, LocalOptions())
    yield loaded
    loaded.close()


def test_there_are_forty() -> None:
    assert len(SCHEMAS) == 40


@pytest.mark.parametrize("temperature", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("name", SCHEMAS)
def test_every_answer_is_an_instance_of_its_schema(
    backend: LocalBackend, name: str, temperature: float
) -> None:
    request = ChatRequest(
        (Message("user", "Extract as JSON: Nina paid 12 euros on 2024-05-06."),),
        SamplingParams(max_tokens=600, temperature=temperature, seed=3),
        response_format=ResponseFormat("json_schema", SCHEMAS[name]),
    )
    answer = asyncio.run(collect(backend.chat(request)))
    assert answer.finish_reason == "stop", answer.text
    assert validate(SCHEMAS[name], json.loads(answer.text)) == (), answer.text


@pytest.mark.parametrize("seed", range(5))
def test_a_json_object_is_a_json_object_or_says_that_it_was_cut(backend: LocalBackend, seed: int) -> None:
    request = ChatRequest(
        (Message("user", "Hello"),),
        SamplingParams(max_tokens=300, temperature=1.0, seed=seed),
        response_format=ResponseFormat("json_object"),
    )
    answer = asyncio.run(collect(backend.chat(request)))
    if answer.finish_reason == "stop":
        assert isinstance(json.loads(answer.text), dict)
    else:
        assert answer.finish_reason == "length"
