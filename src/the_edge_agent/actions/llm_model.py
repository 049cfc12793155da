"""One model call of an action: chosen, asked, streamed, fitted to the context, accounted for.

The only place of the actions that talks to a Backend. Knows nothing of how answers are used.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from the_edge_agent.actions.llm_overflow import fit
from the_edge_agent.actions.llm_request import backend_choice, chat_request, deadline_s, request_privacy
from the_edge_agent.engine.action import ActionContext
from the_edge_agent.engine.ports import ResolvedBackend
from the_edge_agent.errors import BackendUnavailable, ContextLengthExceeded, PrivacyRefused
from the_edge_agent.inference import (
    Backend,
    BackendInfo,
    ChatRequest,
    Completion,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    JsonObject,
    OnOverflow,
    Tool,
    collect,
)

logger = logging.getLogger("the_edge_agent.actions.llm")


@dataclass(frozen=True, slots=True)
class Model:
    """Who answers a node, and under which rules."""

    backend: Backend
    info: BackendInfo
    name: str
    notices: tuple[str, ...]
    params: JsonObject
    context: ActionContext

    def request(self, params: JsonObject | None = None, tools: Sequence[Tool] = ()) -> ChatRequest:
        """The node's request; ``params`` stand in for the node's own. Raises ActionParamsInvalid, SchemaUnsupported."""
        privacy = request_privacy(self.params, self.context, api_chosen=self.info.leaves_machine)
        given = self.params if params is None else params
        return chat_request(given, self.context, tools, model=self.name, privacy=privacy)

    async def ask(self, request: ChatRequest, *, stream: bool = False) -> Completion:
        """The answer, within the node's ``on_overflow``; its tokens are told as they come where ``stream`` says so."""
        policy: OnOverflow = self.params.get("on_overflow") or "error"  # pyright: ignore[reportAssignmentType]
        try:
            return self._told(await self._collect(request, stream=stream))
        except ContextLengthExceeded as error:
            fitted = await fit(
                request, error, policy, count=self.backend.count_tokens, ask=self._plain_answer
            )
        completion = await self._collect(fitted.request, stream=stream)
        return self._told(replace(completion, notices=(fitted.notice, *completion.notices)))

    async def embed(self, texts: tuple[str, ...]) -> Embeddings:
        """Vectors of the texts. Raises UnsupportedFeature where the model makes none."""
        privacy = request_privacy(self.params, self.context, api_chosen=self.info.leaves_machine)
        deadline = deadline_s(self.params, self.context)
        embeddings = await self.backend.embed(EmbedRequest(texts, self.name, deadline, privacy))
        self.context.report.usage += embeddings.usage
        self.context.report.notices.extend(self.notices)
        return embeddings

    async def _plain_answer(self, request: ChatRequest) -> str:
        completion = await self._collect(request, stream=False)
        self.context.report.usage += completion.usage
        return completion.text

    async def _collect(self, request: ChatRequest, *, stream: bool) -> Completion:
        chunks = self.backend.chat(request)
        return await collect(_watched(chunks, self.context.emit_token) if stream else chunks)

    def _told(self, completion: Completion) -> Completion:
        completion = replace(
            completion,
            notices=tuple(dict.fromkeys((*self.notices, *completion.notices))),
            model=completion.model or self.name or self.info.model,
            backend=completion.backend or self.info.backend,
            n_ctx=completion.n_ctx or self.info.n_ctx,
        )
        self.context.report.usage += completion.usage
        self.context.report.notices.extend(completion.notices)
        return completion


async def resolve_model(params: JsonObject, context: ActionContext) -> Model:
    """Find out who answers.

    Raises:
        BackendUnavailable: the run has no backends.
        PrivacyRefused: the node says ``local-only`` and who was chosen would send the prompt away.
    """
    if context.backends is None:
        raise BackendUnavailable(
            "this run has no backend to ask", fix="pass backends= to run(), or use `tea run`"
        )
    resolved: ResolvedBackend = await context.backends.resolve(backend_choice(params, context))
    info = await resolved.backend.describe()
    if info.leaves_machine and params.get("privacy") == "local-only":
        raise PrivacyRefused(
            f"the prompt is local-only and {info.backend} would send it away",
            fix="use a local backend, or say may-leave",
        )
    for notice in resolved.notices:
        logger.warning("%s: node %s: %s", context.place, context.node, notice)
    return Model(resolved.backend, info, resolved.model, resolved.notices, params, context)


async def _watched(
    chunks: AsyncIterator[CompletionChunk], emit: Callable[[str], None]
) -> AsyncIterator[CompletionChunk]:
    async for chunk in chunks:
        if chunk.text:
            emit(chunk.text)
        yield chunk
