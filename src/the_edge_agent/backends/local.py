"""The local backend: llama.cpp in this process. A request becomes a prompt, tokens become chunks.

Joins the event loop to the generator's thread. Knows nothing of where the model's file came from; the caller had its
header checked.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from collections.abc import Generator as Yielding
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from the_edge_agent.backends.local_options import (
    MAX_DRAFT,
    MODEL_DRAFT,
    LocalOptions,
    header_of,
    open_draft,
    open_projector,
)
from the_edge_agent.errors import BackendNotInstalled, BackendTimeout, UnsupportedFeature
from the_edge_agent.inference import (
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    SamplingParams,
    Usage,
)
from the_edge_agent.llama.adapter import LlamaAdapter
from the_edge_agent.llama.answer_grammar import answer_grammar
from the_edge_agent.llama.generator import Generator
from the_edge_agent.llama.machine import read_machine
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.owned import Handle
from the_edge_agent.llama.params import check_range
from the_edge_agent.llama.plan import LoadPlan, plan_load
from the_edge_agent.llama.prompt import Prompt, PromptWriter
from the_edge_agent.llama.shown_text import ShownText
from the_edge_agent.llama.stream import Event, Failed, Finished, GenerationRequest, Piece
from the_edge_agent.llama.tool_gate import ToolGate
from the_edge_agent.llama.tool_prompt import resolve_rules, usable_tools

logger = logging.getLogger("the_edge_agent.backends.local")

__all__ = ["LocalBackend", "LocalOptions"]

BACKEND = "local"
#: Prompts above this are rendered and tokenized on a thread, so that the event loop goes on.
LONG_TEXT = 50_000


class LocalBackend:
    """A loaded model that answers requests. ``open`` it; ``aclose`` it, or use ``async with LocalBackend.open(...)``."""

    def __init__(
        self,
        model: LlamaModel,
        owned: Sequence[Handle],
        generator: Generator,
        writer: PromptWriter,
        plan: LoadPlan,
    ) -> None:
        """Takes over all that is given; ``load`` is what callers use. ``owned`` is closed behind the generator."""
        self._owned = owned
        self._model = model
        self._generator = generator
        self._writer = writer
        self._name = model.name
        self.plan = plan

    @classmethod
    def open(cls, path: Path, options: LocalOptions | None = None) -> _Opening:
        """Load the GGUF at ``path``: ``await`` it or enter it with ``async with``.

        Raises BackendNotInstalled, GgufInvalid, OutOfMemory, ModelLoadFailed, TemplateInvalid, UsageError and the
        rest of LlamaError.
        """
        return _Opening(path, options or LocalOptions())

    @classmethod
    def load(cls, path: Path, options: LocalOptions) -> LocalBackend:
        """As ``open``, blocking; for threads that may wait."""
        if importlib.util.find_spec("llama_cpp") is None:
            raise BackendNotInstalled(
                "the local backend needs llama.cpp, which is not installed",
                fix="pip install 'the-edge-agent[llm-local]', or use --backend api",
            )
        check_range("draft_tokens", options.draft_tokens, 0, MAX_DRAFT)
        check_range("prefill_share", options.prefill_share, 0.01, 0.99)
        machine = read_machine()
        plan = plan_load(header_of(path), options.wishes(), machine)
        logger.info("loading %s: %s", path.name, plan)
        model = LlamaModel.load(path, plan.model)
        owned: list[Handle] = [model]
        adapters: list[tuple[LlamaAdapter, float]] = []
        try:
            for file, scale in options.lora:
                adapters.append((LlamaAdapter.load(model, file), scale))
            projector = None
            if options.projector:
                projector = open_projector(options.projector, model, plan, machine)
                owned.append(projector)
            writer = PromptWriter.for_model(model, options.chat_format, projector)
            drafting = None
            if options.draft_model:
                draft, drafting = open_draft(options, model, plan, machine)
                owned.append(draft)
            generator = Generator(
                model,
                plan.context,
                n_ctx_seq=plan.n_ctx,
                cache_cells=plan.cache_cells,
                prefill_share=options.prefill_share,
                draft_tokens=options.draft_tokens or (MODEL_DRAFT if drafting else 0),
                draft_model=drafting,
                adapters=adapters,
            )
        except BaseException:
            for opened in reversed(owned):
                opened.close()
            raise
        finally:
            for adapter, _ in adapters:
                adapter.close()  # the generator's context holds them now
        return cls(model, owned, generator, writer, plan)

    async def chat(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """Stream the answer. Closing the iterator early cancels the work within one step.

        Raises ContextLengthExceeded before anything is queued, BackendTimeout, UnsupportedFeature, SchemaUnsupported,
        UseAfterClose.
        """
        deadline = None if request.deadline_s is None else time.monotonic() + request.deadline_s
        generation = await self._prepare(request, deadline)
        gate = ToolGate(request, self._said(request)) if usable_tools(request) else None
        subscription = _Subscription(asyncio.get_running_loop())
        request_id = self._generator.submit(generation, subscription.sink)
        ended = False
        try:
            async for event in subscription.events():
                if isinstance(event, Failed):
                    ended = True
                    raise event.error
                if isinstance(event, Piece):
                    text = gate.push(event.text) if gate else event.text
                    yield CompletionChunk(text, event.token_ids, event.logprobs)
                else:
                    ended = True
                    yield self._last_chunk(event, gate)
        finally:
            if not ended:
                self._generator.cancel(request_id)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Unit vectors, one a text. Leaving early gives the rest up.

        Raises ContextLengthExceeded for a text that is too long, BackendTimeout, UseAfterClose.
        """
        ids = [self._model.vocab.tokenize(text) or [0] for text in request.texts]
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[tuple[float, ...]]] = loop.create_future()

        def done(result: list[tuple[float, ...]] | Exception) -> None:
            _call_in(loop, lambda: _settle(answer, result))

        give_up = self._generator.embed(ids, done)
        try:
            async with asyncio.timeout(request.deadline_s):
                vectors = await answer
        except TimeoutError as error:
            raise BackendTimeout("the deadline passed", fix="allow more time or embed fewer texts") from error
        finally:
            if answer.cancelled():
                give_up()
        usage = Usage(prompt_tokens=sum(map(len, ids)))
        return Embeddings(tuple(vectors), model=self._name, backend=BACKEND, usage=usage)

    async def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens of the request."""
        return len((await self._write(request)).ids)

    async def describe(self) -> BackendInfo:
        """The model and what it can do here."""
        features = {"chat", "embed", "tools", "json_schema", "logprobs"}
        if self._writer.projector is not None:
            features.add("images")
        return BackendInfo(BACKEND, self._name, n_ctx=self._generator.n_ctx, features=frozenset(features))

    async def aclose(self) -> None:
        """Stop what is running and free the model. Safe to call twice."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """As ``aclose``, blocking."""
        self._generator.close()
        for handle in reversed(self._owned):
            handle.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _prepare(self, request: ChatRequest, deadline: float | None) -> GenerationRequest:
        if not self._model.has_decoder:
            raise UnsupportedFeature(
                f"{self._name} is an encoder and can't chat", fix="use it for embeddings only"
            )
        tools = usable_tools(request)
        grammar, trigger = answer_grammar(request), ""
        if tools:
            if grammar:
                raise UnsupportedFeature(
                    "a response_format together with tools", fix="ask for the format in a step of its own"
                )
            template = self._writer.template
            rules = resolve_rules(request, tools, native=template.knows_tools, hermes=self._writer.is_hermes)
            grammar, trigger = rules.grammar, rules.trigger
        sampling = request.sampling
        if sampling.seed is None:
            sampling = _with_seed(sampling)
        prompt = await self._write(request)
        return GenerationRequest(
            prompt.ids,
            sampling,
            grammar=grammar,
            grammar_trigger=trigger,
            resume_ids=request.resume_token_ids,
            show_special=bool(tools),
            deadline=deadline,
            images=prompt.images,
        )

    async def _write(self, request: ChatRequest) -> Prompt:
        tools = usable_tools(request)
        images = any(message.images for message in request.messages)
        if images or sum(len(message.content) for message in request.messages) > LONG_TEXT:
            return await asyncio.to_thread(self._writer.write, request, tools)
        return self._writer.write(request, tools)

    def _said(self, request: ChatRequest) -> str:
        """What a resumed request has said before, control tokens spelled out."""
        shown = ShownText(self._model.vocab, request.sampling.stop, show_special=True)
        return "".join(map(shown.push, request.resume_token_ids))

    def _last_chunk(self, event: Finished, gate: ToolGate | None) -> CompletionChunk:
        text, calls = gate.finish() if gate else ("", ())
        reason = "tool_calls" if calls and event.finish_reason == "stop" else event.finish_reason
        return CompletionChunk(
            text,
            finish_reason=reason,
            tool_calls=calls,
            usage=event.usage,
            timings=event.timings,
            model=self._name,
            backend=BACKEND,
            n_ctx=self._generator.n_ctx,
        )


class _Opening(Awaitable[LocalBackend]):
    """A backend on its way; see ``LocalBackend.open``."""

    def __init__(self, path: Path, options: LocalOptions) -> None:
        self._path = path
        self._options = options
        self._backend: LocalBackend | None = None

    def __await__(self) -> Yielding[object, None, LocalBackend]:
        return asyncio.to_thread(LocalBackend.load, self._path, self._options).__await__()

    async def __aenter__(self) -> LocalBackend:
        self._backend = await self
        return self._backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._backend is not None:
            await self._backend.aclose()


class _Subscription:
    """Events cross from the generator's thread to the event loop: one wake-up for as many as have gathered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[Event] = deque()
        self._ready = asyncio.Event()
        self._woken = False

    def sink(self, event: Event) -> None:
        """Called on the generator's thread."""
        self._events.append(event)
        if not self._woken:
            self._woken = True
            _call_in(self._loop, self._wake)

    def _wake(self) -> None:
        self._woken = False
        self._ready.set()

    async def events(self) -> AsyncIterator[Event]:
        """All events up to and including the last one."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._events:
                event = self._events.popleft()
                yield event
                if not isinstance(event, Piece):
                    return


def _with_seed(sampling: SamplingParams) -> SamplingParams:
    return (
        replace(sampling, seed=random.SystemRandom().getrandbits(32))
        if sampling.temperature > 0
        else sampling
    )


def _call_in(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop is closed: nobody listens any more
        logger.debug("an event came after its loop was closed")


def _settle(
    answer: asyncio.Future[list[tuple[float, ...]]], result: list[tuple[float, ...]] | Exception
) -> None:
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
