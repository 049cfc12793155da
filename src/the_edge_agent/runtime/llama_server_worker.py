"""A worker whose model runs in llama.cpp's own llama-server: same protocol to the daemon, HTTP over a private Unix socket behind.

``python -m the_edge_agent.runtime.llama_server_worker FD PARENT [--offline]``. The server's socket lies in a folder of mode
0700, and a random key is asked for as well. Streams can be taken up by ids while the server tells them all; with a grammar
(schemas, tools) it can't go on behind them, so those chunks carry none, and such an answer is asked for again from its start
(see ``resuming``). Knows nothing of queues or restarts.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from the_edge_agent.backends.openai_wire import chat_body
from the_edge_agent.backends.runtime_fields import plain_json
from the_edge_agent.errors import (
    BackendError,
    BackendUnavailable,
    ContextLengthExceeded,
    ModelLoadFailed,
    UnsupportedFeature,
)
from the_edge_agent.inference import (
    BackendInfo,
    ChatRequest,
    CompletionChunk,
    Embeddings,
    EmbedRequest,
    FinishReason,
    Timings,
    ToolCall,
    Usage,
)
from the_edge_agent.runtime.worker import main
from the_edge_agent.settings import load_settings

BACKEND = "llama-server"
FEATURES = frozenset({"chat", "tools", "json_schema"})
DEFAULT_CTX = 4096


class LlamaServerBackend:
    """A running llama-server. ``open_llama_server`` makes it; ``aclose`` ends it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        client: httpx.AsyncClient,
        folder: str,
        name: str,
        n_ctx: int,
    ) -> None:
        self._process = process
        self._client = client
        self._folder = folder
        self._name = name
        self._n_ctx = n_ctx

    async def chat(self, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """Stream the answer. Raises ContextLengthExceeded before anything is generated, UnsupportedFeature, BackendError."""
        if any(message.images for message in request.messages):
            raise UnsupportedFeature("this worker takes no images", place=BACKEND)
        if request.sampling.logprobs is not None:
            raise UnsupportedFeature("this worker tells no logprobs", place=BACKEND, fix="use worker: local")
        ids = await self._prompt_ids(request)
        needed = len(ids) + len(request.resume_token_ids)
        if needed >= self._n_ctx:
            raise ContextLengthExceeded(
                f"the prompt has {needed} tokens and the context holds {self._n_ctx}",
                place=BACKEND,
                fix="shorten the prompt, or load the model with a larger n_ctx",
                needed=needed,
                n_ctx=self._n_ctx,
            )
        if request.tools and request.tool_choice != "none":
            yield await self._ask_with_tools(request)
            return
        body = _completion_body(request, ids)
        told, waiting = 0, list[int]()
        async with self._client.stream("POST", "/completion", json=body) as response:
            if response.status_code != 200:
                raise _error_of(await response.aread())
            async for line in response.aiter_lines():
                if not line.startswith("data: "):
                    continue
                tree = json.loads(line.removeprefix("data: "))
                token_ids: list[int] = tree.get("tokens") or []
                told += len(token_ids)
                waiting += token_ids
                knows_all = told == tree.get("tokens_predicted", told) and "json_schema" not in body
                text = str(tree.get("content", ""))
                if tree.get("stop"):
                    yield self._last_chunk(request, tree, text)
                    return
                if (
                    text
                ):  # ids without text wait for it: an end token has none, and nobody may go on behind one
                    yield CompletionChunk(text, tuple(waiting) if knows_all else ())
                    waiting.clear()
        raise BackendUnavailable("llama-server ended its stream in the middle", place=BACKEND)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Not with this kind of worker."""
        del request
        raise UnsupportedFeature("this worker makes no embeddings", place=BACKEND, fix="use worker: local")

    async def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens of the request."""
        return len(await self._prompt_ids(request))

    async def describe(self) -> BackendInfo:
        """The model, and what can be asked of it."""
        return BackendInfo(BACKEND, self._name, self._n_ctx, features=FEATURES)

    async def aclose(self) -> None:
        """End the server. Safe to call twice."""
        await self._client.aclose()
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _prompt_ids(self, request: ChatRequest) -> list[int]:
        template = await self._post("/apply-template", {**chat_body(request, model=""), "stream": False})
        asked = {"content": template["prompt"], "add_special": True, "parse_special": True}
        return list((await self._post("/tokenize", asked))["tokens"])

    async def _ask_with_tools(self, request: ChatRequest) -> CompletionChunk:
        body = {**chat_body(request, model=""), "stream": False}
        body.pop("stream_options", None)
        answer = await self._post("/v1/chat/completions", body)
        choice = answer["choices"][0]
        calls = tuple(
            ToolCall(call.get("id") or f"call_{i}", call["function"]["name"], call["function"]["arguments"])
            for i, call in enumerate(choice["message"].get("tool_calls") or ())
        )
        reason: FinishReason = (
            "tool_calls" if calls else "length" if choice["finish_reason"] == "length" else "stop"
        )
        usage: dict[str, Any] = answer.get("usage") or {}
        return CompletionChunk(
            choice["message"].get("content") or "",
            finish_reason=reason,
            tool_calls=calls,
            usage=Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)),
            model=self._name,
            backend=BACKEND,
            n_ctx=self._n_ctx,
        )

    def _last_chunk(self, request: ChatRequest, tree: Mapping[str, Any], text: str) -> CompletionChunk:
        resumed = len(request.resume_token_ids)
        timings: dict[str, Any] = tree.get("timings") or {}
        return CompletionChunk(
            text,
            finish_reason="length" if tree.get("stop_type") == "limit" else "stop",
            usage=Usage(
                int(tree.get("tokens_evaluated", 0)) - resumed,
                int(tree.get("tokens_predicted", 0)) + resumed,
                int(timings.get("cache_n", 0)),
            ),
            timings=Timings(
                0.0,
                float(timings.get("prompt_ms", 0.0)) / 1000,
                float(timings.get("predicted_ms", 0.0)) / 1000,
            ),
            model=self._name,
            backend=BACKEND,
            n_ctx=self._n_ctx,
        )

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        response = await self._client.post(path, json=body)
        if response.status_code != 200:
            raise _error_of(response.content)
        return response.json()


def _completion_body(request: ChatRequest, ids: list[int]) -> dict[str, Any]:
    sampling = request.sampling
    resumed = len(request.resume_token_ids)
    body: dict[str, Any] = {
        "prompt": [*ids, *request.resume_token_ids],
        "stream": True,
        "return_tokens": True,
        "cache_prompt": True,
        "n_predict": -1 if sampling.max_tokens is None else max(sampling.max_tokens - resumed, 1),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "stop": list(sampling.stop),
        "ignore_eos": sampling.ignore_eos,
        "seed": -1 if sampling.seed is None else sampling.seed,
    }
    if request.response_format.type != "text":
        body["json_schema"] = plain_json(request.response_format.schema) or {"type": "object"}
    return body


def _error_of(body: bytes) -> Exception:
    try:
        error: Any = json.loads(body)["error"]
        return BackendError(str(error["message"]), place=BACKEND)
    except (ValueError, KeyError, TypeError):
        return BackendError("llama-server answered what isn't JSON", place=BACKEND)


async def open_llama_server(what: Mapping[str, Any]) -> LlamaServerBackend:
    """Start the server on the file and wait for its health. Raises ModelLoadFailed, BackendUnavailable."""
    options: Mapping[str, Any] = what.get("options", {})
    binary = str(options.get("binary", "llama-server"))
    if shutil.which(binary) is None:
        raise ModelLoadFailed(
            f"{binary} is no program here",
            place=str(what["path"]),
            fix="install llama.cpp's server, name it in workers.llama_server, or use worker: local",
        )
    folder = tempfile.mkdtemp(prefix="tea-")
    address, key = f"{folder}/llama.sock", secrets.token_urlsafe(32)
    slots = int(options.get("n_seq_max", 1))
    n_ctx = int(options.get("n_ctx") or DEFAULT_CTX)
    command = [binary, "-m", str(what["path"]), "--host", address]
    command += ["-c", str(n_ctx * slots), "-np", str(slots), "-ngl", str(options.get("n_gpu_layers", 0))]
    command += ["-t", str(options.get("n_threads") or 1), "--jinja", "--no-webui", "--log-disable"]
    launch = [sys.executable, "-P", "-m", "the_edge_agent.runtime.launch", str(os.getpid())]
    environ = {**load_settings().environ, "LLAMA_API_KEY": key}
    process = await asyncio.create_subprocess_exec(
        *launch, *command, stdin=asyncio.subprocess.DEVNULL, env=environ
    )
    transport = httpx.AsyncHTTPTransport(uds=address, verify=False)
    client = httpx.AsyncClient(
        transport=transport,
        base_url="http://localhost",
        timeout=httpx.Timeout(None),
        headers={"authorization": f"Bearer {key}"},
    )
    while True:
        if process.returncode is not None:
            shutil.rmtree(folder, ignore_errors=True)
            raise ModelLoadFailed(
                f"{command[0]} ended with exit code {process.returncode} before it was healthy",
                place=str(what["path"]),
                fix="see the model's log; try the file with worker: local",
            )
        try:
            if (await client.get("/health")).status_code == 200:
                break
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.02)
    properties = (await client.get("/props")).json()
    granted = int(properties.get("default_generation_settings", {}).get("n_ctx", n_ctx))
    return LlamaServerBackend(process, client, folder, Path(str(what["path"])).stem, granted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], open_llama_server))
