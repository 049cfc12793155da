"""Chooses who answers a node in a browser: the model of this tab, or the page's handler. There is nobody else.

No daemon and no API can be asked from here, so what asks for one is refused in a sentence and nothing leaves the origin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from the_edge_agent.browser.committed import CommittedBackend
from the_edge_agent.engine.ports import BackendChoice, ResolvedBackend
from the_edge_agent.errors import BackendUnavailable, ModelNotFound
from the_edge_agent.inference import Backend


class TabBackends:
    """The BackendResolver of one run; ``barrier`` is awaited before its model is asked."""

    def __init__(self, backend: Backend, barrier: Callable[[], Awaitable[None]]) -> None:
        self._backend = CommittedBackend(backend, barrier)

    async def resolve(self, choice: BackendChoice) -> ResolvedBackend:
        """The tab's backend. Raises BackendUnavailable, ModelNotFound, and NotReady where no model is loaded."""
        wanted = choice.backend or choice.settings.backend or "auto"
        if wanted in ("api", "runtime"):
            raise BackendUnavailable(
                f"a browser tab has no backend {wanted!r}",
                place=f"backend {wanted}",
                fix="say backend: local or auto",
            )
        info = await self._backend.describe()
        named = choice.model or choice.settings.model
        if named and info.backend == "wllama" and named != info.model:
            raise ModelNotFound(
                f"the agent asks for the model {named!r}, and {info.model!r} is loaded",
                place="model",
                fix="load that model with initLlm, or leave the name out",
            )
        return ResolvedBackend(self._backend, info.model)
