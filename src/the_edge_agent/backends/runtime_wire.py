"""Requests, chunks and errors as plain JSON values and back: what the daemon, its workers and its clients exchange.

Reading is strict: only the fields listed here exist, each of its own type, and values pass the same checks as in process
(``SamplingParams``). It knows nothing of sockets, frames or HTTP.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

from the_edge_agent import errors
from the_edge_agent.errors import ActionParamsInvalid, BackendError, EdgeAgentError
from the_edge_agent.inference import (
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    ImagePart,
    Message,
    ResponseFormat,
    SamplingParams,
    Timings,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)

T = TypeVar("T")
Json = dict[str, Any]

#: What errors carry beside their text.
_ERROR_FIELDS = ("retry_after_s", "needed", "n_ctx", "offset", "missing_bytes", "status")
_SAMPLING_DEFAULTS = SamplingParams()


# Requests.


def chat_request_to_json(request: ChatRequest) -> Json:
    """Every field that differs from its default."""
    tree: Json = {"messages": [_message_to_json(message) for message in request.messages]}
    sampling = {
        entry.name: value
        for entry in fields(SamplingParams)
        if (value := getattr(request.sampling, entry.name)) != getattr(_SAMPLING_DEFAULTS, entry.name)
    }
    if sampling:
        tree["sampling"] = sampling
    if request.model:
        tree["model"] = request.model
    if request.level is not None:
        tree["level"] = request.level
    if request.tools:
        tree["tools"] = [
            {"name": tool.name, "description": tool.description, "parameters": plain_json(tool.parameters)}
            for tool in request.tools
        ]
        tree["tool_choice"] = request.tool_choice
        tree["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format.type != "text":
        tree["response_format"] = {
            "type": request.response_format.type,
            "schema": plain_json(request.response_format.schema),
            "name": request.response_format.name,
        }
    if request.deadline_s is not None:
        tree["deadline_s"] = request.deadline_s
    if request.privacy != "local-only":
        tree["privacy"] = request.privacy
    if request.resume_token_ids:
        tree["resume_token_ids"] = list(request.resume_token_ids)
    return tree


def parse_chat_request(tree: object) -> ChatRequest:
    """The request. Raises ActionParamsInvalid, naming the field."""
    reader = _Reader(tree, "request")
    request = ChatRequest(
        messages=tuple(_parse_message(item, i) for i, item in enumerate(reader.list_("messages"))),
        sampling=_parse_sampling(reader.get("sampling", {})),
        model=reader.text("model"),
        level=reader.choice("level", (None, "operational", "tactical", "strategic"), None),
        tools=tuple(_parse_tool(item, i) for i, item in enumerate(reader.list_("tools"))),
        tool_choice=reader.text("tool_choice", "auto"),
        parallel_tool_calls=reader.flag("parallel_tool_calls", default=True),
        response_format=_parse_response_format(reader.get("response_format", {})),
        deadline_s=reader.number_or_none("deadline_s"),
        privacy=reader.choice("privacy", ("local-only", "may-leave"), "local-only"),
        resume_token_ids=_parse_token_ids(reader.list_("resume_token_ids")),
    )
    reader.done()
    return request


def embed_request_to_json(request: EmbedRequest) -> Json:
    """Every field."""
    return {"texts": list(request.texts), "model": request.model, "deadline_s": request.deadline_s}


def parse_embed_request(tree: object) -> EmbedRequest:
    """The request. Raises ActionParamsInvalid, naming the field."""
    reader = _Reader(tree, "request")
    texts = reader.list_("texts")
    if not all(isinstance(text, str) for text in texts):
        raise reader.wrong("texts", "give a list of strings")
    request = EmbedRequest(
        tuple(cast("list[str]", texts)), reader.text("model"), reader.number_or_none("deadline_s")
    )
    reader.done()
    return request


# Answers.


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
        tree["tool_calls"] = [_tool_call_to_json(call) for call in chunk.tool_calls]
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
            text=_is(str, tree.get("text", "")),
            token_ids=tuple(_is(int, token) for token in tree.get("token_ids", ())),
            logprobs=tuple(
                TokenLogprob(_is(str, token), float(value), tuple((_is(str, t), float(v)) for t, v in top))
                for token, value, top in tree.get("logprobs", ())
            ),
            finish_reason=tree.get("finish_reason"),
            tool_calls=tuple(_parse_tool_call(call) for call in tree.get("tool_calls", ())),
            usage=Usage(*(_is(int, count) for count in tree["usage"])) if "usage" in tree else None,
            timings=Timings(*(float(span) for span in tree["timings"])) if "timings" in tree else None,
            model=_is(str, tree.get("model", "")),
            backend=_is(str, tree.get("backend", "")),
            n_ctx=_is(int, tree.get("n_ctx", 0)),
            notices=tuple(_is(str, notice) for notice in tree.get("notices", ())),
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
            vectors, _is(str, tree["model"]), _is(str, tree["backend"]), Usage(tree["prompt_tokens"])
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
            _is(str, tree["backend"]),
            _is(str, tree["model"]),
            _is(int, tree["n_ctx"]),
            bool(tree["leaves_machine"]),
            frozenset(_is(str, feature) for feature in tree["features"]),
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


# Parts.


def plain_json(value: Any) -> Any:
    """Frozen views as dicts and lists."""
    if isinstance(value, Mapping):
        return {str(name): plain_json(item) for name, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in cast("list[Any]", value)]
    return value


def finite(value: float) -> float:
    """The number, or the lowest one that JSON can hold in place of minus infinity and NaN."""
    return value if math.isfinite(value) else -1e30


def _message_to_json(message: Message) -> Json:
    tree: Json = {"role": message.role, "content": message.content}
    if message.images:
        tree["images"] = [
            [base64.b64encode(image.data).decode(), image.mime_type] for image in message.images
        ]
    if message.tool_calls:
        tree["tool_calls"] = [_tool_call_to_json(call) for call in message.tool_calls]
    if message.tool_call_id:
        tree["tool_call_id"] = message.tool_call_id
    if message.name:
        tree["name"] = message.name
    return tree


def _parse_message(tree: object, index: int) -> Message:
    reader = _Reader(tree, f"request.messages[{index}]")
    try:
        images = tuple(
            ImagePart(base64.b64decode(data, validate=True), mime) for data, mime in reader.list_("images")
        )
        calls = tuple(_parse_tool_call(call) for call in reader.list_("tool_calls"))
    except (TypeError, ValueError, KeyError) as error:
        raise reader.wrong("images or tool_calls", f"they have the wrong shape: {error}") from None
    message = Message(
        role=reader.choice("role", ("system", "user", "assistant", "tool"), "user"),
        content=reader.text("content"),
        images=images,
        tool_calls=calls,
        tool_call_id=reader.text("tool_call_id"),
        name=reader.text("name"),
    )
    reader.done()
    return message


def _parse_sampling(tree: object) -> SamplingParams:
    reader = _Reader(tree, "request.sampling")
    values: Json = {}
    for entry in fields(SamplingParams):
        if entry.name not in reader.tree:
            continue
        value = reader.get(entry.name, None)
        if entry.name == "stop":
            if not (
                isinstance(value, list) and all(isinstance(text, str) for text in cast("list[object]", value))
            ):
                raise reader.wrong("stop", "give a list of strings")
            values["stop"] = tuple(cast("list[str]", value))
        elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            values[entry.name] = value
        else:
            raise reader.wrong(entry.name, "give a number")
    whole = ("max_tokens", "top_k", "seed", "logprobs")
    for name in whole:
        if isinstance(values.get(name), float):
            raise reader.wrong(name, "give a whole number")
    reader.done()
    return SamplingParams(**values)


def _parse_tool(tree: object, index: int) -> Tool:
    reader = _Reader(tree, f"request.tools[{index}]")
    tool = Tool(reader.text("name"), reader.text("description"), reader.mapping("parameters"))
    reader.done()
    return tool


def _parse_response_format(tree: object) -> ResponseFormat:
    reader = _Reader(tree, "request.response_format")
    kind = reader.choice("type", ("text", "json_object", "json_schema"), "text")
    schema = reader.get("schema", None)
    if schema is not None and not isinstance(schema, Mapping):
        raise reader.wrong("schema", "give an object")
    format_ = ResponseFormat(kind, cast("Mapping[str, Any] | None", schema), reader.text("name", "output"))
    reader.done()
    return format_


def _parse_token_ids(items: list[Any]) -> tuple[int, ...]:
    if not all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 2**31 for item in items):
        raise ActionParamsInvalid("resume_token_ids must be token ids", place="request")
    return tuple(items)


def _tool_call_to_json(call: ToolCall) -> Json:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def _parse_tool_call(tree: Any) -> ToolCall:
    return ToolCall(_is(str, tree["id"]), _is(str, tree["name"]), _is(str, tree["arguments"]))


def _is(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} is no {kind.__name__}")
    return value


class _Reader:
    """Takes fields out of a mapping by type and remembers which, so that a field too many is found."""

    def __init__(self, tree: object, place: str) -> None:
        if not isinstance(tree, Mapping):
            raise ActionParamsInvalid("must be an object", place=place)
        self.tree = cast("Mapping[str, Any]", tree)
        self.place = place
        self._seen: set[str] = set()

    def get(self, name: str, default: Any) -> Any:
        self._seen.add(name)
        return self.tree.get(name, default)

    def text(self, name: str, default: str = "") -> str:
        return self._typed(name, default, str, "give a string")

    def flag(self, name: str, *, default: bool) -> bool:
        return self._typed(name, default, bool, "give true or false")

    def list_(self, name: str) -> list[Any]:
        return self._typed(name, [], list, "give a list")  # pyright: ignore[reportUnknownVariableType]

    def mapping(self, name: str) -> Mapping[str, Any]:
        return self._typed(name, {}, dict, "give an object")  # pyright: ignore[reportUnknownVariableType]

    def number_or_none(self, name: str) -> float | None:
        value = self.get(name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise self.wrong(name, "give seconds above 0")
        return float(value)

    def choice(self, name: str, allowed: tuple[Any, ...], default: Any) -> Any:
        value = self.get(name, default)
        if value not in allowed:
            raise self.wrong(name, f"give one of {', '.join(str(item) for item in allowed if item)}")
        return value

    def wrong(self, name: str, fix: str) -> ActionParamsInvalid:
        return ActionParamsInvalid(f"{name} is {self.tree.get(name)!r:.80}", place=self.place, fix=fix)

    def done(self) -> None:
        unknown = sorted(str(name) for name in self.tree if name not in self._seen)
        if unknown:
            raise ActionParamsInvalid(f"unknown field {unknown[0]!r}", place=self.place)

    def _typed(self, name: str, default: Any, kind: Callable[..., T], fix: str) -> T:
        value = self.get(name, default)
        if not isinstance(value, cast("type[T]", kind)):
            raise self.wrong(name, fix)
        return value
