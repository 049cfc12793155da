"""Backends by name, as a resolver: what a program that hands over its own has. Opens and closes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from the_edge_agent.engine.ports import BackendChoice, ResolvedBackend
from the_edge_agent.errors import BackendUnavailable
from the_edge_agent.inference import Backend


@dataclass(frozen=True, slots=True)
class NamedBackends:
    """Backends by name, as a resolver: the one the node names, else the file's, else ``default``, else the only one."""

    backends: Mapping[str, Backend]

    async def resolve(self, choice: BackendChoice) -> ResolvedBackend:
        """The backend. Raises BackendUnavailable listing the names there are."""
        wanted = choice.backend or choice.settings.backend or "auto"
        model = choice.model or choice.settings.model or ""
        found = self.backends.get(wanted) or self.backends.get("default")
        if found is None and (wanted == "auto" or len(self.backends) == 1):
            found = next(iter(self.backends.values()), None)
        if found is None:
            raise BackendUnavailable(
                f"no backend {wanted!r} was given to this run",
                fix=f"there are {', '.join(self.backends) or 'none'}",
            )
        return ResolvedBackend(found, model)
