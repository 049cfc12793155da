"""Ollama's routes: chat, generate, embed, tags, show, ps, pull, version. Pulls fetch nothing; they say what to run instead."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from the_edge_agent.errors import ModelNotFound, UnsupportedFeature
from the_edge_agent.inference import CompletionChunk, collect
from the_edge_agent.runtime.daemon import Answer, Ask, Daemon
from the_edge_agent.runtime.registry import Registered
from the_edge_agent.serving.exchange import Exchange, StreamFormat, to_json
from the_edge_agent.serving.fields import text_field
from the_edge_agent.serving.http import Routes, Site
from the_edge_agent.serving.ollama_wire import (
    LineWriter,
    embed_tree,
    parse_chat,
    parse_embed,
    parse_generate,
    rfc3339,
    strip_tag,
)

#: An empty line between objects is no object: readers of NDJSON skip it.
NDJSON = StreamFormat("application/x-ndjson", b"\n", lambda error: to_json({"error": str(error)}) + b"\n")


async def chat(exchange: Exchange, site: Site) -> None:
    """POST /api/chat."""
    body = await exchange.json(site.limits)
    ask, streams = parse_chat(body, site.daemon.config.limits.schema_bytes)
    await _answer(exchange, site, ask, text_field(body, "model"), streams=streams, is_chat=True)


async def generate(exchange: Exchange, site: Site) -> None:
    """POST /api/generate. An empty prompt loads the model, as Ollama's clients use it."""
    body = await exchange.json(site.limits)
    ask, streams = parse_generate(body, site.daemon.config.limits.schema_bytes)
    model = text_field(body, "model")
    if not text_field(body, "prompt") and not body.get("images"):
        unloads = body.get("keep_alive") in (0, "0", "0s")
        done = site.daemon.unload(strip_tag(model)) if unloads else site.daemon.load(strip_tag(model))
        await exchange.while_present(done)
        reason = "unload" if unloads else "load"
        tree = {
            "model": model,
            "created_at": rfc3339(time.time()),
            "response": "",
            "done": True,
            "done_reason": reason,
        }
        await exchange.respond_json(tree)
        return
    await _answer(exchange, site, ask, model, streams=streams, is_chat=False)


async def embed(exchange: Exchange, site: Site) -> None:
    """POST /api/embed and /api/embeddings."""
    body = await exchange.json(site.limits)
    answer = await exchange.while_present(site.daemon.embed(parse_embed(body)))
    await exchange.respond_json(
        embed_tree(answer, text_field(body, "model"), legacy=exchange.path == "/api/embeddings")
    )


async def tags(exchange: Exchange, site: Site) -> None:
    """GET /api/tags."""
    await exchange.respond_json(
        {"models": [_model_tree(site.daemon, model) for model in site.daemon.registered()]}
    )


async def processes(exchange: Exchange, site: Site) -> None:
    """GET /api/ps."""
    daemon = site.daemon
    trees: list[dict[str, Any]] = []
    for model in daemon.registered():
        status = daemon.manager.status(model.name)
        if status.pid:
            expires_s = (status.last_used_at_s or time.time()) + (status.keep_alive_s or 10 * 365 * 86_400)
            loaded = {"size": status.size_bytes, "size_vram": 0, "expires_at": rfc3339(expires_s)}
            trees.append({**_model_tree(daemon, model), **loaded})
    await exchange.respond_json({"models": trees})


async def show(exchange: Exchange, site: Site) -> None:
    """POST /api/show."""
    body = await exchange.json(site.limits)
    name = strip_tag(text_field(body, "model") or text_field(body, "name"))
    found = next((model for model in site.daemon.registered() if model.name == name), None)
    if found is None:
        raise ModelNotFound(f"no model is called {name!r:.80}", place="model", fix="see /api/tags")
    info = site.daemon.manager.info(name)
    capabilities = ["completion", *(["tools"] if "tools" in info.features else [])]
    capabilities += ["embedding"] if "embed" in info.features else []
    tree = _model_tree(site.daemon, found)
    await exchange.respond_json(
        {
            "modelfile": "",
            "parameters": "",
            "template": "",
            "details": tree["details"],
            "model_info": {"general.name": name, "context_length": info.n_ctx or found.n_ctx_limit},
            "capabilities": capabilities,
            "modified_at": tree["modified_at"],
        }
    )


async def pull(exchange: Exchange, site: Site) -> None:
    """POST /api/pull: what is here already counts as pulled; the daemon itself downloads nothing."""
    body = await exchange.json(site.limits)
    name = strip_tag(text_field(body, "model") or text_field(body, "name"))
    if any(model.name == name for model in site.daemon.registered()):
        await exchange.respond_json({"status": "success"})
        return
    raise UnsupportedFeature(
        "the daemon downloads nothing",
        place="pull",
        fix=f"run `tea models pull {name[:80]}`, then ask for it by name",
    )


async def version(exchange: Exchange, site: Site) -> None:
    """GET /api/version: the version of Ollama's API that is spoken."""
    del site
    await exchange.respond_json({"version": "0.12.0"})


async def _answer(
    exchange: Exchange, site: Site, ask: Ask, model: str, *, streams: bool, is_chat: bool
) -> None:
    started_s = time.monotonic()
    answer = site.daemon.answer(ask)
    writer = LineWriter(model, chat=is_chat, started_s=started_s)
    if streams:
        await exchange.stream(_lines(answer, writer), NDJSON)
        return
    completion = await exchange.while_present(collect(answer.chunks))
    last = CompletionChunk(
        completion.text,
        finish_reason=completion.finish_reason,
        tool_calls=completion.tool_calls,
        usage=completion.usage,
        timings=completion.timings,
    )
    await exchange.respond_json(writer.tree(last))


async def _lines(answer: Answer, writer: LineWriter) -> AsyncIterator[bytes]:
    chunks: Any = answer.chunks
    async with aclosing(chunks):
        async for chunk in chunks:
            if chunk.finish_reason is not None and (chunk.text or chunk.tool_calls):
                yield writer.line(replace(chunk, finish_reason=None, usage=None, timings=None))
                chunk = replace(chunk, text="", tool_calls=())  # noqa: PLW2901 - the figures follow in a line of their own
            if chunk.text or chunk.finish_reason is not None:
                yield writer.line(chunk)


def _model_tree(daemon: Daemon, model: Registered) -> dict[str, Any]:
    try:
        stat = model.path.stat()
        size_bytes, modified_s = stat.st_size, stat.st_mtime
    except OSError:
        size_bytes, modified_s = 0, daemon.started_at_s
    details: dict[str, Any] = {
        "parent_model": "",
        "format": "gguf",
        "family": "",
        "families": [],
        "parameter_size": "",
    }
    return {
        "name": f"{model.name}:latest",
        "model": f"{model.name}:latest",
        "modified_at": rfc3339(modified_s),
        "size": size_bytes,
        "digest": "",
        "details": {**details, "quantization_level": ""},
    }


OLLAMA_ROUTES: Routes = {
    ("POST", "/api/chat"): chat,
    ("POST", "/api/generate"): generate,
    ("POST", "/api/embed"): embed,
    ("POST", "/api/embeddings"): embed,
    ("GET", "/api/tags"): tags,
    ("GET", "/api/ps"): processes,
    ("POST", "/api/show"): show,
    ("POST", "/api/pull"): pull,
    ("GET", "/api/version"): version,
}
