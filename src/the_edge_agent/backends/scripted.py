"""A backend that answers from a script: the public fake for tests of agents, and ours.

It counts one character as one token, so every figure can be predicted: ``ScriptedBackend("Hello", fail_after=3)``
streams ``H``, ``e``, ``l`` and fails. It honours ``max_tokens``, ``stop``, ``n_ctx`` and resume, records every
request, and never waits. It knows nothing of models, and doesn't enforce ``response_format``: a script may well say
the wrong thing, so that the code that checks answers can be tested.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self, TypeAlias

from the_edge_agent.errors import BackendError, BackendUnavailable, ContextLengthExceeded, UnsupportedFeature
from the_edge_agent.inference import (
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    FinishReason,
    JsonValue,
    Timings,
    ToolCall,
    Usage,
)

FEATURES = frozenset({"chat", "embed", "tools", "json_schema"})
DIMENSIONS = 32


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One answer. ``fail_after`` counts the tokens that still come out before ``error`` is raised."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    fail_after: int | None = None
    error: Exception | None = None
    notices: tuple[str, ...] = ()


#: What a script may say for one request: text, tool calls, a full answer, or an error to raise.
Line: TypeAlias = str | ToolCall | Sequence[ToolCall] | ScriptedAnswer | Exception
#: One line for every request; or one line for each, in order; or a function of the request.
Script: TypeAlias = str | ScriptedAnswer | Exception | Sequence[Line] | Callable[[ChatRequest], Line]


def tool_call(
    name: str, arguments: Mapping[str, JsonValue] | str | None = None, *, call_id: str = ""
) -> ToolCall:
    """A tool call for a script; ``arguments`` as an object or as the raw text a model would write."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return ToolCall(id=call_id or f"call_{name}", name=name, arguments=text)


@dataclass(slots=True)
class ScriptedBackend:
    """Answers from ``script``; see the module's docstring for the rules.

    ``fail_after`` and ``error`` apply to every answer that has none of its own (default error: BackendUnavailable).
    A list that is used up raises BackendError. ``n_ctx`` 0 means endless. ``embedding`` turns a text into a vector;
    by default texts that share words get similar vectors.
    """

    script: Script = ""
    fail_after: int | None = None
    error: Exception | None = None
    model: str = "scripted"
    backend: str = "scripted"
    n_ctx: int = 0
    features: frozenset[str] = FEATURES
    leaves_machine: bool = False
    embedding: Callable[[str], Sequence[float]] | None = None
    requests: list[ChatRequest] = field(default_factory=list[ChatRequest], init=False)
    """Every chat request so far, in order."""
    embed_requests: list[EmbedRequest] = field(default_factory=list[EmbedRequest], init=False)
    closed: bool = field(default=False, init=False)

    async def __aenter__(self) -> Self:
        """Itself; nothing is opened."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.aclose()

    async def chat(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """Stream the next answer, one character a chunk.

        Raises:
            BackendError: the script is used up.
            ContextLengthExceeded: the prompt is longer than ``n_ctx``.
            Exception: whatever the script says.
        """
        answer = self._next(request)
        prompt_tokens = await self.count_tokens(request)
        if self.n_ctx and prompt_tokens >= self.n_ctx:
            raise ContextLengthExceeded(
                f"the prompt has {prompt_tokens} tokens and the context holds {self.n_ctx}",
                place=self.backend,
                fix="shorten the prompt, or set on_overflow",
                needed=prompt_tokens,
                n_ctx=self.n_ctx,
            )
        text, reason = _cut(answer, request, room=self.n_ctx - prompt_tokens if self.n_ctx else None)
        done = len(request.resume_token_ids)
        for count, character in enumerate(text[done:]):
            if count == answer.fail_after:
                raise _failure(answer)
            yield CompletionChunk(text=character, token_ids=(ord(character),))
        if answer.fail_after is not None:
            raise _failure(answer)
        yield CompletionChunk(
            finish_reason=reason,
            tool_calls=answer.tool_calls,
            usage=Usage(prompt_tokens, len(text)),
            timings=Timings(),
            model=request.model or self.model,
            backend=self.backend,
            n_ctx=self.n_ctx,
            notices=answer.notices,
        )

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One unit vector a text."""
        self.embed_requests.append(request)
        if "embed" not in self.features:
            raise UnsupportedFeature("this model makes no embeddings", place=self.backend)
        embedding = self.embedding or word_vector
        return Embeddings(
            vectors=tuple(tuple(embedding(text)) for text in request.texts),
            model=request.model or self.model,
            backend=self.backend,
            usage=Usage(sum(len(text) for text in request.texts)),
        )

    async def count_tokens(self, request: ChatRequest) -> int:
        """Characters of all messages."""
        return sum(len(message.content) for message in request.messages)

    async def describe(self) -> BackendInfo:
        """Names and features as given."""
        return BackendInfo(self.backend, self.model, self.n_ctx, self.leaves_machine, self.features)

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _next(self, request: ChatRequest) -> ScriptedAnswer:
        index = len(self.requests)
        self.requests.append(request)
        script = self.script
        if callable(script):
            line = script(request)
        elif isinstance(script, (str, ScriptedAnswer, Exception)):
            line = script
        elif index < len(script):
            line = script[index]
        else:
            raise BackendError(
                f"the script holds {len(script)} answers and this is request {index + 1}",
                place=self.backend,
                fix="add an answer to the list, or script a function",
            )
        answer = _answer(line)
        if answer.fail_after is None and self.fail_after is not None:
            answer = replace(answer, fail_after=self.fail_after, error=answer.error or self.error)
        return answer


def word_vector(text: str) -> tuple[float, ...]:
    """A unit vector of DIMENSIONS numbers in which each lower-case word always falls on the same axis."""
    vector = [0.0] * DIMENSIONS
    for word in "".join(c if c.isalnum() else " " for c in text.lower()).split():
        vector[hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[0] % DIMENSIONS] += 1.0
    norm = math.sqrt(sum(value * value for value in vector)) or 1.0
    return tuple(value / norm for value in vector)


def _answer(line: Line) -> ScriptedAnswer:
    if isinstance(line, ScriptedAnswer):
        return line
    if isinstance(line, str):
        return ScriptedAnswer(line)
    if isinstance(line, Exception):
        return ScriptedAnswer(error=line, fail_after=0)
    return ScriptedAnswer(tool_calls=(line,) if isinstance(line, ToolCall) else tuple(line))


def _cut(answer: ScriptedAnswer, request: ChatRequest, *, room: int | None) -> tuple[str, FinishReason]:
    """The text up to the first stop string, max_tokens or the end of the context, and why it ends there."""
    text = answer.text
    reason: FinishReason = answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")
    ends = [place for stop in request.sampling.stop if (place := text.find(stop)) >= 0]
    if ends:
        text, reason = text[: min(ends)], "stop"
    limits = [limit for limit in (request.sampling.max_tokens, room) if limit is not None]
    if limits and len(text) > min(limits):
        text, reason = text[: min(limits)], "length"
    return text, reason


def _failure(answer: ScriptedAnswer) -> Exception:
    return answer.error or BackendUnavailable(
        f"the scripted connection broke after {answer.fail_after} tokens", place="scripted"
    )
