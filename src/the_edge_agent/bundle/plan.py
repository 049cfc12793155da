"""What a bundle will hold, decided before anything is fetched or written. Pure: facts in, a frozen plan out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from the_edge_agent.bundle.variants import BASE_PACKAGES, Architecture, Line, artifact_name
from the_edge_agent.errors import UsageError

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class AgentSource:
    """An agent's file, and the files it imports as paths relative to it with their text."""

    path: Path
    name: str
    text: str
    imports: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The model that goes in: its files in order (several where it is split), and what is known of it."""

    name: str
    files: tuple[Path, ...]
    embedded: bool = False
    license: str = ""
    license_url: str = ""

    @property
    def title(self) -> str:
        """What artifacts and listings call it."""
        return self.name


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """All that is decided of a bundle."""

    name: str
    version: str
    arch: Architecture
    line: Line
    agents: tuple[AgentSource, ...]
    model: ModelSource | None
    packages: tuple[str, ...] = BASE_PACKAGES

    @property
    def default_agent(self) -> AgentSource | None:
        """The agent that runs where no file is named: the first."""
        return self.agents[0] if self.agents else None


def plan_bundle(
    agents: Sequence[AgentSource], model: ModelSource | None, line: Line, arch: Architecture, version: str
) -> BundlePlan:
    """Decide what goes in. Raises UsageError where two agents would have one name or a name is no file's."""
    seen: set[str] = set()
    for agent in agents:
        if agent.name in seen:
            raise UsageError(
                f"two agents are named {agent.name!r}", place=str(agent.path), fix="rename one of the files"
            )
        if not _SAFE_NAME.fullmatch(agent.name):
            raise UsageError(
                f"{agent.name!r} can't be an agent's name in a bundle",
                place=str(agent.path),
                fix="name the file with letters, digits, . _ and -",
            )
        seen.add(agent.name)
    if model is not None:
        bad = next((file for file in model.files if not _SAFE_NAME.fullmatch(file.name)), None)
        if bad is not None or not _SAFE_NAME.fullmatch(model.name):
            raise UsageError(
                "the model's name can't be a file's name in a bundle",
                place=str(bad or model.name),
                fix="rename the file with letters, digits, . _ and -",
            )
    name = artifact_name(line, model.name if model else "", version, arch)
    return BundlePlan(name, version, arch, line, tuple(agents), model)
