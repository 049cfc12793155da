"""llm.embed and llm.similarity: texts as vectors, and how close they are. Knows nothing of chat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from the_edge_agent.actions.llm_answer import embed_result, usage_json
from the_edge_agent.actions.llm_messages import text_of
from the_edge_agent.actions.llm_model import resolve_model
from the_edge_agent.engine.action import ActionContext
from the_edge_agent.errors import ActionParamsInvalid, BackendError
from the_edge_agent.inference import JsonObject, JsonValue


async def embed(params: JsonObject, context: ActionContext) -> JsonValue:
    """A vector for a text; for a list, one for each in its order. Raises ActionParamsInvalid for an empty list."""
    texts, many = _texts(params["text"], "text")
    model = await resolve_model(params, context)
    return embed_result(await model.embed(texts), many=many)


async def similarity(params: JsonObject, context: ActionContext) -> JsonValue:
    """Cosine similarity of a text with candidates: {score, best, best_index, scores, model, backend, usage}."""
    text = text_of(params["text"], "text")
    candidates, _ = _texts(params["candidates"], "candidates")
    model = await resolve_model(params, context)
    embeddings = await model.embed((text, *candidates))
    if len(embeddings.vectors) != len(candidates) + 1:
        raise BackendError(f"{len(candidates) + 1} texts came back as {len(embeddings.vectors)} vectors")
    first, *others = embeddings.vectors
    scores = [cosine(first, other) for other in others]
    best = max(range(len(scores)), key=scores.__getitem__)
    result: dict[str, Any] = {
        "score": scores[best],
        "best": candidates[best],
        "best_index": best,
        "scores": scores,
        "model": embeddings.model,
        "backend": embeddings.backend,
        "usage": usage_json(embeddings.usage),
    }
    return result


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Cosine of the angle between two vectors, -1 to 1; 0 where one has no length."""
    length = math.hypot(*a) * math.hypot(*b)
    return max(-1.0, min(1.0, sum(x * y for x, y in zip(a, b, strict=True)) / length)) if length else 0.0


def _texts(value: JsonValue, place: str) -> tuple[tuple[str, ...], bool]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (text_of(value, place),), False
    if not value:
        raise ActionParamsInvalid(f"{place} is an empty list", fix="give at least one text")
    return tuple(text_of(entry, f"{place}[{index}]") for index, entry in enumerate(value)), True
