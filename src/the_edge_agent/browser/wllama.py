"""The backend of a browser: requests become llama.cpp's WebAssembly completions over the border.

What is asked for and what comes back is the same as with the local backend: the model's own template, grammars for JSON
and tools, stop strings. Knows nothing of how the model was loaded.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol

from the_edge_agent.browser.prompt import Prompt, TextPromptWriter
from the_edge_agent.errors import BackendTimeout, ContextLengthExceeded, UnsupportedFeature
from the_edge_agent.inference import (
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    SamplingParams,
    Timings,
    TokenLogprob,
    Usage,
)
from the_edge_agent.llama.answer_grammar import answer_grammar
from the_edge_agent.llama.tool_calls import MARKERS
from the_edge_agent.llama.tool_gate import ToolGate
from the_edge_agent.llama.tool_prompt import CLOSE, ToolRules, resolve_rules, usable_tools

BACKEND = "wllama"
_FEATURES = frozenset({"chat", "embed", "tools", "json_schema", "logprobs"})
_TOO_LONG = re.compile(r"has (\d+) tokens and the context (\d+)")
_PATTERN_TRIGGER = 2  # llama.cpp's COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN


class Host(Protocol):
    """The other side of the border, as far as a model goes."""

    async def call(self, method: str, params: Any = None) -> Any:
        """The result of a method there. Raises what it failed with."""
        ...

    def stream(self, method: str, params: Any = None) -> AsyncGenerator[Any]:
        """The events of a call. Closing it early cancels the call."""
        ...


class WllamaBackend:
    """The model that the page loaded. The page owns it: ``aclose`` leaves it loaded."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._info: Mapping[str, Any] = {}
        self._writer: TextPromptWriter | None = None

    async def chat(self, request: ChatRequest) -> AsyncGenerator[CompletionChunk]:
        """Stream the answer. Raises ContextLengthExceeded, BackendTimeout, UnsupportedFeature, SchemaUnsupported."""
        writer = await self._open()
        tools = usable_tools(request)
        prompt = writer.write(request, tools)
        rules = self._rules(request, writer)
        gate = ToolGate(request) if tools else None
        body = completion_body(prompt.text, request.sampling, rules, shows_special=bool(tools))
        async with aclosing(self._pieces(body, request.deadline_s)) as pieces:
            async for piece in pieces:
                text = gate.push(piece["text"]) if gate else piece["text"]
                if piece["finishReason"] is None:
                    yield CompletionChunk(text, logprobs=_logprobs(piece))
                else:
                    yield self._last(piece, text, gate, prompt, counts_end=not request.sampling.stop)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Unit vectors, one a text. Raises ContextLengthExceeded for a text that is too long."""
        await self._open()
        vectors: list[tuple[float, ...]] = []
        tokens = 0
        async with _deadline(request.deadline_s):
            for text in request.texts:
                answer = await self._ask("model.embed", {"text": text})
                vectors.append(tuple(answer["values"]))
                tokens += answer["tokens"]
        return Embeddings(
            tuple(vectors), model=self._info["name"], backend=BACKEND, usage=Usage(prompt_tokens=tokens)
        )

    async def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens of the request. The WebAssembly counts by reading the prompt, so this takes its time."""
        writer = await self._open()
        text = writer.write(request, usable_tools(request)).text
        body = completion_body(text, SamplingParams(max_tokens=1), ToolRules(), shows_special=False)
        try:
            async with aclosing(self._pieces(body, request.deadline_s)) as pieces:
                last = [piece async for piece in pieces][-1]
        except ContextLengthExceeded as error:
            return error.needed
        return last["usage"]["promptTokens"]

    async def describe(self) -> BackendInfo:
        """The model and its context."""
        await self._open()
        return BackendInfo(BACKEND, self._info["name"], n_ctx=self._info["nCtx"], features=_FEATURES)

    async def aclose(self) -> None:
        """Nothing is owned here."""

    async def _open(self) -> TextPromptWriter:
        """The writer for the model that is loaded now: the page may have changed it."""
        info: Mapping[str, Any] = await self._host.call("model.info")
        if self._writer is None or info != self._info:
            self._writer = TextPromptWriter.for_model(info)
            self._info = info
        return self._writer

    def _rules(self, request: ChatRequest, writer: TextPromptWriter) -> ToolRules:
        grammar, tools = answer_grammar(request), usable_tools(request)
        if not tools:
            return ToolRules(grammar)
        if grammar:
            raise UnsupportedFeature(
                "a response_format together with tools", fix="ask for the format in a step of its own"
            )
        return resolve_rules(request, tools, native=writer.template.knows_tools, hermes=writer.is_hermes)

    async def _pieces(
        self, body: Mapping[str, Any], deadline_s: float | None
    ) -> AsyncGenerator[dict[str, Any]]:
        async with _deadline(deadline_s):
            try:
                async with aclosing(self._host.stream("model.complete", body)) as pieces:
                    async for piece in pieces:
                        yield piece
            except ContextLengthExceeded as error:
                raise _with_figures(error) from None

    async def _ask(self, method: str, params: Any) -> Any:
        try:
            return await self._host.call(method, params)
        except ContextLengthExceeded as error:
            raise _with_figures(error) from None

    def _last(
        self,
        piece: Mapping[str, Any],
        text: str,
        gate: ToolGate | None,
        prompt: Prompt,
        *,
        counts_end: bool,
    ) -> CompletionChunk:
        rest, calls = gate.finish() if gate else ("", ())
        usage: Mapping[str, Any] = piece.get("usage") or {}
        timings: Mapping[str, Any] = piece.get("timings") or {}
        # The WebAssembly counts the token that ends an answer; with stop strings nobody knows whether there was one.
        surplus = 1 if counts_end and piece["finishReason"] == "stop" else 0
        return CompletionChunk(
            text + rest,
            logprobs=_logprobs(piece),
            finish_reason="tool_calls"
            if calls and piece["finishReason"] == "stop"
            else piece["finishReason"],
            tool_calls=calls,
            usage=Usage(
                usage.get("promptTokens", 0),
                max(0, usage.get("completionTokens", 0) - surplus),
                usage.get("cachedTokens", 0),
            ),
            timings=Timings(0.0, timings.get("prefillS", 0.0), timings.get("decodeS", 0.0)),
            model=self._info["name"],
            backend=BACKEND,
            n_ctx=self._info["nCtx"],
            notices=prompt.notices,
        )


def completion_body(
    text: str, sampling: SamplingParams, rules: ToolRules, *, shows_special: bool
) -> dict[str, Any]:
    """The request in llama.cpp's own field names; every default of its own is overruled."""
    seed = sampling.seed
    if seed is None:
        seed = random.SystemRandom().getrandbits(32) if sampling.temperature > 0 else 0
    body: dict[str, Any] = {
        "prompt": text,
        "max_tokens": -1 if sampling.max_tokens is None else sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "seed": seed,
        "stop": list(sampling.stop),
        "repeat_penalty": sampling.repeat_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repeat_last_n": 64,
        "samplers": ["penalties", "top_k", "top_p", "min_p", "temperature"],
    }
    if sampling.logprobs is not None:
        body["n_probs"] = max(1, sampling.logprobs)
    if rules.grammar:
        body["grammar"] = rules.grammar
    if rules.trigger:
        body["grammar_lazy"] = True
        body["grammar_triggers"] = [{"type": _PATTERN_TRIGGER, "value": re.escape(rules.trigger)}]
    if shows_special:
        body["preserved_tokens"] = [*MARKERS, CLOSE]
    return body


def _logprobs(piece: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    if not piece.get("logprobs"):
        return ()
    entries: list[dict[str, Any]] = piece["logprobs"]["content"]
    return tuple(
        TokenLogprob(
            entry["token"],
            entry["logprob"],
            tuple((other["token"], other["logprob"]) for other in entry["top_logprobs"]),
        )
        for entry in entries
    )


def _with_figures(error: ContextLengthExceeded) -> ContextLengthExceeded:
    """The two numbers stand in the sentence (``contextExceeded`` of web/src/wasm-model.ts)."""
    found = _TOO_LONG.search(error.what)
    needed, n_ctx = (int(found[1]), int(found[2])) if found else (0, 0)
    return ContextLengthExceeded(error.what, fix=error.fix, needed=needed, n_ctx=n_ctx)


@asynccontextmanager
async def _deadline(seconds: float | None) -> AsyncGenerator[None]:
    """``asyncio.timeout`` whose end is a BackendTimeout."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise BackendTimeout(
            f"no whole answer within {seconds:g} s", fix="raise timeout_s, or ask for less"
        ) from error
