"""Chunks, embeddings, model infos and errors as plain JSON values and back. Knows nothing of sockets, frames or HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from the_edge_agent import errors
from the_edge_agent.backends.runtime_fields import Json, finite, parse_tool_call, tool_call_to_json, typed
from the_edge_agent.errors import BackendError, EdgeAgentError
from the_edge_agent.inference import (
    BackendInfo,
    CompletionChunk,
    Embeddings,
    Timings,
    TokenLogprob,
    Usage,
)

#: What errors carry beside their text.
_ERROR_FIELDS = ("retry_after_s", "needed", "n_ctx", "offset", "missing_bytes", "status")


def chunk_to_json(chunk: CompletionChunk) -> Json:
    """Every field that isn't empty."""
    tree: Json = {}
    for name in ("text", "finish_reason", "model", "backend", "n_ctx"):
        if value := getattr(chunk, name):
            tree[name] = value
    if chunk.token_ids:
        tree["token_ids"] = list(chunk.token_ids)
    if chunk.logprobs:
        tree["logprobs"] = [
            [p.token, finite(p.logprob), [[t, finite(v)] for t, v in p.top]] for p in chunk.logprobs
        ]
    if chunk.tool_calls:
        tree["tool_calls"] = [tool_call_to_json(call) for call in chunk.tool_calls]
    if chunk.usage is not None:
        tree["usage"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens, chunk.usage.cached_tokens]
    if chunk.timings is not None:
        tree["timings"] = [chunk.timings.queue_s, chunk.timings.prefill_s, chunk.timings.decode_s]
    if chunk.notices:
        tree["notices"] = list(chunk.notices)
    return tree


def parse_chunk(tree: Mapping[str, Any]) -> CompletionChunk:
    """The chunk. Raises BackendError where the other side lies about its shape."""
    try:
        return CompletionChunk(
            text=typed(str, tree.get("text", "")),
            token_ids=tuple(typed(int, token) for token in tree.get("token_ids", ())),
            logprobs=tuple(
                TokenLogprob(
                    typed(str, token), float(value), tuple((typed(str, t), float(v)) for t, v in top)
                )
                for token, value, top in tree.get("logprobs", ())
            ),
            finish_reason=tree.get("finish_reason"),
            tool_calls=tuple(parse_tool_call(call) for call in tree.get("tool_calls", ())),
            usage=Usage(*(typed(int, count) for count in tree["usage"])) if "usage" in tree else None,
            timings=Timings(*(float(span) for span in tree["timings"])) if "timings" in tree else None,
            model=typed(str, tree.get("model", "")),
            backend=typed(str, tree.get("backend", "")),
            n_ctx=typed(int, tree.get("n_ctx", 0)),
            notices=tuple(typed(str, notice) for notice in tree.get("notices", ())),
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BackendError(f"a chunk of the answer has the wrong shape: {error}", place="runtime") from None


def embeddings_to_json(embeddings: Embeddings) -> Json:
    """Every field."""
    return {
        "vectors": [list(vector) for vector in embeddings.vectors],
        "model": embeddings.model,
        "backend": embeddings.backend,
        "prompt_tokens": embeddings.usage.prompt_tokens,
    }


def parse_embeddings(tree: Mapping[str, Any]) -> Embeddings:
    """The vectors. Raises BackendError where the other side lies about their shape."""
    try:
        vectors = tuple(tuple(float(value) for value in vector) for vector in tree["vectors"])
        return Embeddings(
            vectors, typed(str, tree["model"]), typed(str, tree["backend"]), Usage(tree["prompt_tokens"])
        )
    except (TypeError, ValueError, KeyError) as error:
        raise BackendError(f"the embeddings have the wrong shape: {error}", place="runtime") from None


def info_to_json(info: BackendInfo) -> Json:
    """Every field."""
    return {
        "backend": info.backend,
        "model": info.model,
        "n_ctx": info.n_ctx,
        "leaves_machine": info.leaves_machine,
        "features": sorted(info.features),
    }


def parse_info(tree: Mapping[str, Any]) -> BackendInfo:
    """Who answers. Raises BackendError."""
    try:
        return BackendInfo(
            typed(str, tree["backend"]),
            typed(str, tree["model"]),
            typed(int, tree["n_ctx"]),
            bool(tree["leaves_machine"]),
            frozenset(typed(str, feature) for feature in tree["features"]),
        )
    except (TypeError, KeyError) as error:
        raise BackendError(f"the description has the wrong shape: {error}", place="runtime") from None


def error_to_json(error: BaseException) -> Json:
    """An error of ours whole; a foreign one by its class alone (its text may hold anything)."""
    if not isinstance(error, EdgeAgentError):
        return {"name": "BackendError", "what": f"the worker failed with {type(error).__name__}"}
    tree: Json = {"name": error.name, "what": error.what, "place": error.place, "fix": error.fix}
    extras = {name: value for name in _ERROR_FIELDS if (value := getattr(error, name, None)) is not None}
    return {**tree, **extras}


def parse_error(tree: object) -> EdgeAgentError:
    """The same error again; one of a class that isn't known here becomes a BackendError."""
    given: Mapping[str, Any] = cast("Mapping[str, Any]", tree) if isinstance(tree, Mapping) else {}
    words = {name: str(given.get(name, "")) for name in ("place", "fix")}
    what = str(given.get("what") or "it failed without saying why")
    kind = getattr(errors, str(given.get("name")), None)
    if not (isinstance(kind, type) and issubclass(kind, EdgeAgentError)):
        return BackendError(what, **words)
    extras = {name: given[name] for name in _ERROR_FIELDS if isinstance(given.get(name), int | float)}
    try:
        return kind(what, **words, **extras)
    except TypeError:
        return BackendError(what, **words)
