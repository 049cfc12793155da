"""The grammar that a request's ``response_format`` asks for. Pure; knows nothing of tools or of samplers."""

from __future__ import annotations

from the_edge_agent.errors import UnsupportedFeature
from the_edge_agent.inference import ChatRequest


def answer_grammar(request: ChatRequest) -> str:
    """GBNF, empty for plain text. Raises UnsupportedFeature, SchemaUnsupported."""
    wanted = request.response_format
    if wanted.type == "text":
        return ""
    from the_edge_agent.inference.json_schema import json_object_gbnf, schema_to_gbnf

    if wanted.type == "json_object":
        return json_object_gbnf()
    if wanted.schema is None:
        raise UnsupportedFeature("response_format json_schema without a schema", fix="give the schema")
    return schema_to_gbnf(wanted.schema)
