"""Opens the backends that runs ask for, shares them, and closes them all at the end.

``BackendPool`` gathers the facts (is there a model file, is an API configured), lets ``choose``
decide, and opens what was decided: one local backend a model file and options, one client an API. It knows nothing of
actions, events or terminals.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Hashable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from the_edge_agent.backends.choose import Caller, Decision, Facts, decide, wanted_backend
from the_edge_agent.engine.ports import BackendChoice, ResolvedBackend
from the_edge_agent.errors import BackendNotInstalled, EdgeAgentError
from the_edge_agent.inference import Backend
from the_edge_agent.settings import Environment
from the_edge_agent.store.locate import LocatedModel, ModelQuery, locate_model
from the_edge_agent.workflow.nodes import LlmSettings


class BackendPool:
    """A BackendResolver that owns what it opened. Use it in ``async with``."""

    def __init__(self, caller: Caller, environment: Environment) -> None:
        self._caller = caller
        self._environment = environment
        self._opened: dict[Hashable, Backend] = {}
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every backend that was opened. Safe to call twice."""
        await self._stack.aclose()
        self._opened.clear()

    def locate(self, choice: BackendChoice) -> LocatedModel:
        """The model file that would answer locally. Raises ModelNotFound, GgufInvalid."""
        environment, settings = self._environment, choice.settings
        return locate_model(
            ModelQuery(
                store_dir=environment.models_dir,
                hf_hub_dir=environment.hf_hub_cache,
                base_dir=Path(choice.base_dir),
                gguf=self._caller.gguf,
                action_model_path=choice.model_path,
                model_name=self._caller.model or choice.model,
                env_model_path=environment.model_path,
                settings_model_path=settings.model_path,
                settings_model_name=settings.model,
                appdir=str(environment.appdir) if environment.appdir else None,
                environ=environment.environ,
            )
        )

    async def resolve(self, choice: BackendChoice) -> ResolvedBackend:
        """Decide, open and share. Raises BackendError, StoreError or LlamaError."""
        located: LocatedModel | None = None
        local_error: EdgeAgentError | None = None
        if wanted_backend(choice, self._caller) in ("local", "auto"):
            try:
                located = self.locate(choice)
                _check_installed()
            except EdgeAgentError as error:
                local_error = error
        facts = Facts(
            runtime_answers=self._runtime_answers(choice),
            local_error=local_error,
            api_configured=bool(choice.settings.api.base_url or self._environment.api_base_url),
        )
        decision = decide(choice, self._caller, facts)
        if decision.kind == "local":
            assert located is not None
            return await self._local(choice, located, decision)
        if decision.kind == "runtime":
            return await self._runtime(choice, decision)
        return await self._api(choice, decision)

    def _runtime_answers(self, choice: BackendChoice) -> bool:
        """Whether the daemon may be asked: it listens, or this run has asked it before (then it is waited for)."""
        if wanted_backend(choice, self._caller) not in ("runtime", "auto"):
            return False
        from the_edge_agent.backends.runtime import runtime_answers

        return "runtime" in self._opened or runtime_answers(self._environment.runtime_socket)

    async def _runtime(self, choice: BackendChoice, decision: Decision) -> ResolvedBackend:
        from the_edge_agent.backends.runtime import RuntimeBackend

        async def open_client() -> Backend:
            return RuntimeBackend(self._environment.runtime_socket)

        model = self._caller.model or choice.model or ""
        return ResolvedBackend(await self._shared("runtime", open_client), model, decision.notices)

    async def _local(
        self, choice: BackendChoice, located: LocatedModel, decision: Decision
    ) -> ResolvedBackend:
        from the_edge_agent.backends.local import LocalBackend, LocalOptions

        settings = choice.settings
        given: dict[str, Any] = {
            "n_ctx": settings.n_ctx,
            "n_threads": settings.n_threads or self._environment.n_threads,
            "n_gpu_layers": settings.n_gpu_layers,
            "chat_format": settings.chat_format,
        }
        options = LocalOptions(**{name: value for name, value in given.items() if value is not None})
        backend = await self._shared(
            ("local", located.path, options), lambda: LocalBackend.open(located.path, options)
        )
        return ResolvedBackend(backend, located.name, decision.notices)

    async def _api(self, choice: BackendChoice, decision: Decision) -> ResolvedBackend:
        from the_edge_agent.backends.openai import OpenAIBackend

        environment, api = self._environment, choice.settings.api
        base_url = api.base_url or environment.api_base_url or ""
        model = self._caller.model or choice.model or api.model or environment.api_model or ""
        key_env = api.key_env or environment.api_key_env
        key = environment.environ.get(key_env, "")

        async def open_client() -> Backend:
            return OpenAIBackend(base_url, model=model, api_key=key, key_env=key_env)

        return ResolvedBackend(
            await self._shared(("api", base_url, model, key_env), open_client), model, decision.notices
        )

    async def _shared(self, key: Hashable, open_backend: Callable[[], Any]) -> Backend:
        """Open once for all who ask at the same time; the pool closes it."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            backend = self._opened.get(key)
            if backend is None:
                backend = await open_backend()
                self._opened[key] = backend
                self._stack.push_async_callback(backend.aclose)
            return backend


def choice_for(settings: LlmSettings, base_dir: str) -> BackendChoice:
    """What a node without words of its own asks for."""
    return BackendChoice(settings=settings, base_dir=base_dir)


def _check_installed() -> None:
    if importlib.util.find_spec("llama_cpp") is None:
        raise BackendNotInstalled(
            "local models need llama.cpp, which isn't installed",
            place="backend local",
            fix='install it with: pip install "the-edge-agent[llm-local]"',
        )
