"""The folders of the store on this machine. Pure paths."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from the_edge_agent.errors import PathRefused
from the_edge_agent.store.hub_cache import HubCache


@dataclass(frozen=True, slots=True)
class StorePlaces:
    """``store_dir`` is the project's own, ``hf_hub_dir`` the Hugging Face cache that others share."""

    store_dir: Path
    hf_hub_dir: Path

    @property
    def own(self) -> HubCache:
        """Models that belong to ``tea``."""
        return HubCache(self.store_dir)

    @property
    def shared(self) -> HubCache:
        """Models of the Hugging Face cache."""
        return HubCache(self.hf_hub_dir)

    def lock_path(self, repo: str, file: str, revision: str) -> Path:
        """The lock of one file's download, whoever downloads it."""
        return self.store_dir / "locks" / f"{_key(repo, file, revision)}.lock"

    def partial_dir(self, repo: str, file: str, revision: str) -> Path:
        """Where the download of one file is under way."""
        return self.store_dir / "partial" / _key(repo, file, revision)

    def checked_partial_dir(self, repo: str, file: str, revision: str) -> Path:
        """The same, with all folders that a pull writes to in place; raises PathRefused where a link leads elsewhere."""
        for folder in ("locks", "partial", "records"):
            self.own.ensure_inside(self.store_dir / folder)
        folder = self.partial_dir(repo, file, revision)
        if folder.is_symlink():
            raise PathRefused(
                "a link stands where a download should be", place=str(folder), fix="remove the link"
            )
        return folder


def _key(repo: str, file: str, revision: str) -> str:
    return hashlib.sha256(f"{repo}@{revision}/{file}".encode()).hexdigest()[:32]
