"""What leaves the machine: OpenAI-compatible providers in order, and a monthly budget that survives restarts.

A provider that fails before its first word is passed over for the next; one that fails in mid-answer is an error. Whether a
request may leave at all is the router's business. Keys come from the environment, and stay in the backend that uses them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from the_edge_agent.errors import BackendError, BackendUnavailable, RateLimited
from the_edge_agent.inference import Backend, ChatRequest, CompletionChunk, Usage
from the_edge_agent.runtime.config import GatewayConfig, ProviderConfig

log = logging.getLogger("the_edge_agent.runtime")

#: Opens a provider's backend, given its configuration and its key.
OpenProvider = Callable[[ProviderConfig, str], Backend]


@dataclass(frozen=True, slots=True)
class Spending:
    """What was used in a month ("2026-11")."""

    month: str = ""
    usd: float = 0.0
    tokens: int = 0

    def with_answer(self, usage: Usage, provider: ProviderConfig) -> Spending:
        """After one more answer."""
        usd = usage.prompt_tokens * provider.usd_per_million_prompt
        usd += usage.completion_tokens * provider.usd_per_million_completion
        tokens = usage.prompt_tokens + usage.completion_tokens
        return replace(self, usd=self.usd + usd / 1e6, tokens=self.tokens + tokens)


def load_spending(path: Path, month: str) -> Spending:
    """This month's spending as it was saved; nothing where there is no file, or one of another month.

    A file that can't be read counts as nothing spent only if it isn't there; a damaged one raises BackendUnavailable,
    lest a budget be forgotten.
    """
    try:
        tree: Any = json.loads(path.read_text(encoding="utf-8"))
        spending = Spending(str(tree["month"]), float(tree["usd"]), int(tree["tokens"]))
    except FileNotFoundError:
        return Spending(month)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendUnavailable(
            f"the record of what was spent can't be read: {error}", place=str(path), fix="mend or remove it"
        ) from None
    return spending if spending.month == month else Spending(month)


def save_spending(path: Path, spending: Spending) -> None:
    """Write it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(spending), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def open_openai(provider: ProviderConfig, key: str) -> Backend:
    """The backend of an OpenAI-compatible API."""
    from the_edge_agent.backends.openai import OpenAIBackend

    return OpenAIBackend(provider.base_url, model=provider.model, api_key=key, key_env=provider.api_key_env)


class Gateway:
    """The providers, opened when they are first asked."""

    def __init__(
        self,
        config: GatewayConfig,
        environ: Mapping[str, str],
        budget_file: Path,
        month: Callable[[], str],
        open_provider: OpenProvider = open_openai,
    ) -> None:
        self.config = config
        self._environ = environ
        self._budget_file = budget_file
        self._month = month
        self._open_provider = open_provider
        self._backends: dict[str, Backend] = {}

    async def aclose(self) -> None:
        """Close what was opened."""
        for backend in self._backends.values():
            await backend.aclose()
        self._backends.clear()

    def spending(self) -> Spending:
        """This month's. Raises BackendUnavailable where the record is damaged."""
        return load_spending(self._budget_file, self._month())

    async def chat(self, name: str, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        """Ask the named provider, then those after it.

        Raises:
            RateLimited: the month's budget is used up.
            BackendError: the last provider's error.
        """
        self._check_budget()
        names = list(self.config.providers)
        chain = names[names.index(name) :]
        for position, provider_name in enumerate(chain):
            said_something = False
            stream: Any = self._ask(provider_name, request)
            try:
                async with aclosing(stream) as chunks:
                    async for chunk in chunks:
                        said_something = True
                        yield chunk
                return
            except BackendError as error:
                if said_something or position == len(chain) - 1:
                    raise
                log.warning("%s: %s; asking %s", provider_name, error.what, chain[position + 1])

    async def _ask(self, name: str, request: ChatRequest) -> AsyncIterator[CompletionChunk]:
        provider = self.config.providers[name]
        chunks: Any = self._backend(name, provider).chat(
            replace(request, model=provider.model, deadline_s=request.deadline_s or provider.timeout_s)
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.usage is not None:
                    save_spending(self._budget_file, self.spending().with_answer(chunk.usage, provider))
                yield replace(chunk, model=name) if chunk.finish_reason else chunk

    def _backend(self, name: str, provider: ProviderConfig) -> Backend:
        if name not in self._backends:
            self._backends[name] = self._open_provider(provider, self._environ.get(provider.api_key_env, ""))
        return self._backends[name]

    def _check_budget(self) -> None:
        spending, config = self.spending(), self.config
        for spent, budget, unit in (
            (spending.usd, config.budget_usd, "USD"),
            (spending.tokens, config.budget_tokens, "tokens"),
        ):
            if budget is not None and spent >= budget:
                raise RateLimited(
                    f"this month's budget of {budget:g} {unit} is used up",
                    place="gateway",
                    fix="raise the budget, or wait for the next month",
                )
