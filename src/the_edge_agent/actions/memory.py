"""memory.store, memory.retrieve and memory.search over the memory port; texts become vectors through llm.embed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from the_edge_agent.engine.action import ActionContext
from the_edge_agent.engine.ports import MemoryPort
from the_edge_agent.errors import ActionError, ActionParamsInvalid
from the_edge_agent.inference import JsonObject, JsonValue

DEFAULT_LIMIT = 5
_MODEL_PARAMS = ("model", "model_path", "backend", "privacy")


async def store(params: JsonObject, context: ActionContext) -> JsonValue:
    """Keep a value: {key, namespace}."""
    namespace, key = _namespace(params, context), str(params["key"])
    vector = await _vector(params, context)
    metadata: Any = params.get("metadata") or {}
    await _port(context).store(namespace, key, params["value"], metadata=metadata, vector=vector)
    return {"key": key, "namespace": namespace}


async def retrieve(params: JsonObject, context: ActionContext) -> JsonValue:
    """Read a kept value: {found, key, value, metadata}."""
    key = str(params["key"])
    hit = await _port(context).retrieve(_namespace(params, context), key)
    if hit is None:
        return {"found": False, "key": key, "value": params.get("default"), "metadata": {}}
    return {"found": True, "key": key, "value": hit.value, "metadata": dict(hit.metadata)}


async def search(params: JsonObject, context: ActionContext) -> JsonValue:
    """The nearest kept values: {hits: [{key, value, metadata, score}]}."""
    vector = await _vector(params, context)
    if vector is None:
        raise ActionParamsInvalid("memory.search needs embedding or text", fix="give one of them")
    limit: Any = params.get("limit", DEFAULT_LIMIT)
    least: Any = params.get("min_score", -1.0)
    hits = await _port(context).search(_namespace(params, context), vector, limit=limit)
    return {
        "hits": [
            {"key": hit.key, "value": hit.value, "metadata": dict(hit.metadata), "score": hit.score}
            for hit in hits
            if hit.score >= least
        ]
    }


async def _vector(params: JsonObject, context: ActionContext) -> Sequence[float] | None:
    embedding: Any = params.get("embedding")
    if embedding is not None:
        if not embedding or not all(
            isinstance(x, int | float) and not isinstance(x, bool) for x in embedding
        ):
            raise ActionParamsInvalid("embedding is no list of numbers", fix="give llm.embed's `embedding`")
        return [float(x) for x in embedding]
    text = params.get("text")
    if text is None:
        return None
    model = {name: params[name] for name in _MODEL_PARAMS if name in params}
    result: Any = await context.actions["llm.embed"]({"text": text, **model}, context)
    return result["embedding"]


def _namespace(params: JsonObject, context: ActionContext) -> str:
    return str(params.get("namespace") or context.workflow or "default")


def _port(context: ActionContext) -> MemoryPort:
    if context.ports.memory is None:
        raise ActionError("this run has no memory", fix="run it with a store, as tea run does")
    return context.ports.memory
