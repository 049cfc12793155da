"""Structured output: one reading of JSON Schema for checking values and for constraining a model.

``validate`` and ``schema_to_gbnf`` read schemas through the same table of keywords; what isn't in it is refused with
SchemaUnsupported at its JSON pointer, never ignored. Pure Python; knows nothing of models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from the_edge_agent.errors import Problem
from the_edge_agent.inference.json_schema.rebase import rebased
from the_edge_agent.inference.json_value import JsonObject

if TYPE_CHECKING:
    from the_edge_agent.inference.json_schema.shapes import SchemaDocument

__all__ = ["json_object_gbnf", "parse_schema", "rebased", "schema_to_gbnf", "validate"]

# The parts are imported where they are used: most runs need none of them, and a start should be quick.


def parse_schema(schema: JsonObject | bool) -> SchemaDocument:
    """Read a schema once, for any number of uses. Raises SchemaUnsupported at a JSON pointer."""
    from the_edge_agent.inference.json_schema.parse import parse_schema as parse

    return parse(schema)


def validate(schema: JsonObject | bool | SchemaDocument, value: Any) -> tuple[Problem, ...]:
    """What is wrong with a parsed JSON value; empty when it is valid.

    A schema that is used often can be parsed once with ``parse_schema``.

    Raises:
        SchemaUnsupported: the schema itself can't be honoured.
    """
    from the_edge_agent.inference.json_schema.check import find_problems

    return find_problems(_document(schema), value)


def schema_to_gbnf(schema: JsonObject | bool | SchemaDocument) -> str:
    """A GBNF grammar with the start rule ``root``; whatever it derives is valid JSON that meets the schema.

    Raises:
        SchemaUnsupported: the schema can't be honoured, or its grammar would be too large.
    """
    from the_edge_agent.inference.json_schema.grammar import write_grammar

    return write_grammar(_document(schema))


def json_object_gbnf() -> str:
    """A GBNF grammar for any JSON object, nested at most nine deep."""
    from the_edge_agent.inference.json_schema.grammar import write_object_grammar

    return write_object_grammar()


def _document(schema: JsonObject | bool | SchemaDocument) -> SchemaDocument:
    from the_edge_agent.inference.json_schema.shapes import SchemaDocument

    return schema if isinstance(schema, SchemaDocument) else parse_schema(schema)
