"""Opens the backends that runs ask for, shares them, and closes them all at the end.

``BackendPool`` gathers the facts (is there a model file, is an API configured), lets ``choose``
decide, and opens what was decided: one local backend a model file and options, one client an API. It knows nothing of
actions, events or terminals.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from the_edge_agent.backends.choose import Caller, Decision, Facts, decide, wanted_backend
from the_edge_agent.engine.ports import BackendChoice, ResolvedBackend
from the_edge_agent.errors import BackendNotInstalled, EdgeAgentError
from the_edge_agent.inference import Backend
from the_edge_agent.settings import Environment
from the_edge_agent.store.locate import LocatedModel, ModelQuery, locate_model
from the_edge_agent.workflow.nodes import LlmSettings

if TYPE_CHECKING:
    from the_edge_agent.backends.runtime import RuntimeBackend

log = logging.getLogger("the_edge_agent.backends")
B = TypeVar("B", bound=Backend)


class BackendPool:
    """A BackendResolver that owns what it opened. Use it in ``async with``."""

    def __init__(self, caller: Caller, environment: Environment) -> None:
        self._caller = caller
        self._environment = environment
        self._opened: dict[Hashable, Backend] = {}
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._stack = AsyncExitStack()
        self._telling: asyncio.Task[None] | None = None
        self._told: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every backend that was opened. Safe to call twice."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
            self._telling = None
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
        decision, located = self._decide(choice)
        if decision.kind == "local":
            assert located is not None
            return await self._local(choice, located, decision)
        if decision.kind == "runtime":
            return await self._runtime(choice, decision)
        return await self._api(choice, decision)

    def expect(self, choices: Sequence[BackendChoice]) -> None:
        """Let the daemon know which models come next, if it is the one that answers; what was told last isn't repeated."""
        names = tuple(dict.fromkeys(name for choice in choices if (name := self._expected_name(choice))))
        if not names or names == self._told or (self._telling is not None and not self._telling.done()):
            return
        self._told = names
        self._telling = asyncio.create_task(self._tell(names))

    def _expected_name(self, choice: BackendChoice) -> str:
        """What the daemon will be asked for: a model or a level; empty where it won't be asked, or decides then."""
        if not self._runtime_answers(choice):
            return ""
        try:
            decision, _ = self._decide(choice)
        except EdgeAgentError:
            return ""  # the node itself will say so
        return self._runtime_model(choice) or choice.level or "" if decision.kind == "runtime" else ""

    async def _tell(self, names: tuple[str, ...]) -> None:
        try:
            await (await self._runtime_backend()).preload(names)
        except EdgeAgentError as error:
            log.debug("the daemon wasn't told what comes next: %s", error)

    def _decide(self, choice: BackendChoice) -> tuple[Decision, LocatedModel | None]:
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
        return decide(choice, self._caller, facts), located

    def _runtime_answers(self, choice: BackendChoice) -> bool:
        """Whether the daemon may be asked: it listens, or this run has asked it before (then it is waited for)."""
        if wanted_backend(choice, self._caller) not in ("runtime", "auto"):
            return False
        from the_edge_agent.backends.runtime import runtime_answers

        return "runtime" in self._opened or runtime_answers(self._environment.runtime_socket)

    async def _runtime(self, choice: BackendChoice, decision: Decision) -> ResolvedBackend:
        model = self._runtime_model(choice)
        return ResolvedBackend(await self._runtime_backend(), model, decision.notices)

    def _runtime_model(self, choice: BackendChoice) -> str:
        """What the daemon is asked for by name; a level of the node's own goes before the model of the whole file."""
        of_the_file = "" if choice.level else choice.settings.model
        return self._caller.model or choice.model or of_the_file or ""

    async def _runtime_backend(self) -> RuntimeBackend:
        from the_edge_agent.backends.runtime import RuntimeBackend

        async def open_client() -> RuntimeBackend:
            return RuntimeBackend(self._environment.runtime_socket)

        return await self._shared("runtime", open_client)

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
            "deterministic": settings.deterministic,
            "kv_type": settings.kv_type,
            "flash_attention": settings.flash_attention,
            "use_mmap": settings.use_mmap,
            "repack": settings.repack,
            "draft_tokens": settings.draft_tokens,
            "draft_model": settings.draft_model and Path(choice.base_dir) / settings.draft_model,
            "projector": settings.projector and Path(choice.base_dir) / settings.projector,
            "lora": tuple((Path(choice.base_dir) / path, scale) for path, scale in settings.lora),
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

    async def _shared(self, key: Hashable, open_backend: Callable[[], Awaitable[B]]) -> B:
        """Open once for all who ask at the same time; the pool closes it."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            known: Any = self._opened.get(key)
            if known is not None:
                return known
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
