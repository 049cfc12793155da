"""The one table of JSON Schema keywords: what each applies to, and that it is honoured by both sides.

``parse`` reads schemas by this table, so ``validate`` and ``schema_to_gbnf`` know exactly the same keywords, and
docs/structured-output.md is checked against it. A keyword that isn't here is refused. Knows nothing of shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

JsonType: TypeAlias = Literal["object", "array", "string", "number", "boolean", "null"]


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword. ``types`` are the JSON types it constrains; empty for those that stand above types."""

    name: str
    help: str
    types: tuple[JsonType, ...] = ()
    annotation: bool = False


_TABLE = (
    Keyword("type", "`object`, `array`, `string`, `number`, `integer`, `boolean`, `null`, or a list of them"),
    Keyword("enum", "a list of up to 2,000 values"),
    Keyword("const", "one value"),
    Keyword("anyOf", "at least one of the schemas"),
    Keyword("oneOf", "exactly one of the schemas, which must exclude each other visibly"),
    Keyword("allOf", "all of the schemas, merged"),
    Keyword("$ref", "a place in the same document: `#`, `#/$defs/name`; may be recursive"),
    Keyword("$defs", "named schemas"),
    Keyword("definitions", "named schemas, as older drafts call them"),
    Keyword("nullable", "`true` also admits null (OpenAPI 3.0)"),
    Keyword("properties", "named members, generated in the order written", ("object",)),
    Keyword("required", "names that must be there", ("object",)),
    Keyword("additionalProperties", "`false`, `true`, or the schema of all other members", ("object",)),
    Keyword("minProperties", "fewest members", ("object",)),
    Keyword("maxProperties", "most members", ("object",)),
    Keyword("items", "the schema of the items", ("array",)),
    Keyword("prefixItems", "the schemas of the first items, by position", ("array",)),
    Keyword("minItems", "fewest items", ("array",)),
    Keyword("maxItems", "most items", ("array",)),
    Keyword("uniqueItems", "only `false`", ("array",)),
    Keyword("minLength", "fewest characters (code points)", ("string",)),
    Keyword("maxLength", "most characters (code points)", ("string",)),
    Keyword(
        "pattern", "a regular expression without look-around, back references or word boundaries", ("string",)
    ),
    Keyword("format", "one of the table of formats", ("string",)),
    Keyword("minimum", "smallest value", ("number",)),
    Keyword("maximum", "largest value", ("number",)),
    Keyword("exclusiveMinimum", "must be larger", ("number",)),
    Keyword("exclusiveMaximum", "must be smaller", ("number",)),
    Keyword("multipleOf", "1, 0.1, 0.01, ...; or any step with at most 256 values in range", ("number",)),
    *(
        Keyword(name, "a note for readers; constrains nothing", annotation=True)
        for name in (
            "$schema",
            "$id",
            "$comment",
            "title",
            "description",
            "default",
            "examples",
            "deprecated",
            "readOnly",
            "writeOnly",
        )
    ),
)

KEYWORDS: Mapping[str, Keyword] = MappingProxyType({keyword.name: keyword for keyword in _TABLE})

MAX_DEPTH = 64
"""Deepest nesting of a schema."""
MAX_SHAPES = 10_000
"""Most schemas in one document, after allOf has been merged."""
MAX_ENUM = 2_000
"""Most values of one enum."""
MAX_DEFINITIONS = 1_000
"""Most places that references lead to, after merging."""
MAX_OPTIONS = 256
"""Most options of one oneOf: each pair of them must be told apart."""
MAX_STEPS = 200_000
"""Most comparisons while merging and telling apart."""
