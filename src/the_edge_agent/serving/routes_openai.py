"""OpenAI's routes: chat completions, completions, responses, embeddings, models."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from the_edge_agent.errors import ModelNotFound
from the_edge_agent.inference import CompletionChunk, collect
from the_edge_agent.runtime.daemon import Answer, Daemon
from the_edge_agent.serving.exchange import Exchange, StreamFormat, error_body, to_json
from the_edge_agent.serving.http import Routes, Site
from the_edge_agent.serving.openai_answers import ChunkWriter, completion_tree, embeddings_tree
from the_edge_agent.serving.openai_requests import ChatCall, parse_chat, parse_completion, parse_embeddings
from the_edge_agent.serving.responses_wire import ResponseWriter, parse_responses, response_tree

SSE = StreamFormat(
    "text/event-stream; charset=utf-8",
    b": ping\n\n",
    lambda error: b"data: " + to_json(error_body(error)) + b"\n\n",
)


async def chat_completions(exchange: Exchange, site: Site) -> None:
    """POST /v1/chat/completions."""
    body = await exchange.json(site.limits)
    await _complete(exchange, site, parse_chat(body, site.daemon.config.limits.schema_bytes), chat=True)


async def completions(exchange: Exchange, site: Site) -> None:
    """POST /v1/completions."""
    await _complete(exchange, site, parse_completion(await exchange.json(site.limits)), chat=False)


async def responses(exchange: Exchange, site: Site) -> None:
    """POST /v1/responses."""
    call = parse_responses(await exchange.json(site.limits), site.daemon.config.limits.schema_bytes)
    answer, answer_id, created = (
        site.daemon.answer(call.ask),
        f"resp_{secrets.token_hex(12)}",
        int(time.time()),
    )
    model = answer.route.target.name
    if call.stream:
        writer = ResponseWriter(answer_id=answer_id, created=created, model=model)
        await exchange.stream(_events(answer, writer.events), SSE)
        return
    completion = await exchange.while_present(collect(answer.chunks))
    tree = response_tree(
        completion,
        answer_id=answer_id,
        created=created,
        model=answer.route.target.name,
        reason=answer.route.reason,
    )
    await exchange.respond_json(tree)


async def embeddings(exchange: Exchange, site: Site) -> None:
    """POST /v1/embeddings."""
    request, as_base64 = parse_embeddings(await exchange.json(site.limits))
    answer = await exchange.while_present(site.daemon.embed(request))
    await exchange.respond_json(embeddings_tree(answer, request.model or answer.model, as_base64=as_base64))


async def models(exchange: Exchange, site: Site) -> None:
    """GET /v1/models."""
    daemon = site.daemon
    names = [model.name for model in daemon.registered()] + list(daemon.gateway.config.providers)
    await exchange.respond_json({"object": "list", "data": [_model_tree(daemon, name) for name in names]})


async def model(exchange: Exchange, site: Site) -> None:
    """GET /v1/models/NAME."""
    name = exchange.path.removeprefix("/v1/models/")
    known = {registered.name for registered in site.daemon.registered()} | set(
        site.daemon.gateway.config.providers
    )
    if name not in known:
        raise ModelNotFound(f"no model is called {name!r:.80}", place="model", fix="see /v1/models")
    await exchange.respond_json(_model_tree(site.daemon, name))


async def _complete(exchange: Exchange, site: Site, call: ChatCall, *, chat: bool) -> None:
    answer = site.daemon.answer(call.ask)
    answer_id, created = f"{'chatcmpl' if chat else 'cmpl'}-{secrets.token_hex(12)}", int(time.time())
    if call.stream:
        writer = ChunkWriter(
            answer_id=answer_id,
            created=created,
            model=answer.route.target.name,
            wants_usage=call.wants_usage,
            chat=chat,
        )
        await exchange.stream(_events(answer, writer.events), SSE)
        return
    completion = await exchange.while_present(_collected(answer))
    route = answer.route
    tree = completion_tree(
        completion,
        answer_id=answer_id,
        created=created,
        model=route.target.name,
        reason=route.reason,
        chat=chat,
    )
    await exchange.respond_json(tree)


async def _collected(answer: Answer) -> Any:
    chunks: Any = answer.chunks
    async with aclosing(chunks):
        return await collect(chunks)


async def _events(answer: Answer, write: Callable[[CompletionChunk, str], bytes]) -> AsyncIterator[bytes]:
    chunks: Any = answer.chunks
    async with aclosing(chunks):
        async for chunk in chunks:
            if event := write(chunk, answer.route.reason):
                yield event


def _model_tree(daemon: Daemon, name: str) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": int(daemon.started_at_s),
        "owned_by": "local",
    }
    if name in daemon.gateway.config.providers:
        return {**tree, "owned_by": "gateway", "level": "strategic"}
    status = daemon.manager.status(name)
    return {
        **tree,
        "level": daemon.level(name),
        "state": status.phase,
        "context_length": status.info.n_ctx or None,
        "features": sorted(status.info.features),
    }


OPENAI_ROUTES: Routes = {
    ("POST", "/v1/chat/completions"): chat_completions,
    ("POST", "/v1/completions"): completions,
    ("POST", "/v1/responses"): responses,
    ("POST", "/v1/embeddings"): embeddings,
    ("GET", "/v1/models"): models,
    ("GET", "/v1/models/*"): model,
}
