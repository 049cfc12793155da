"""A folder in the layout of the Hugging Face cache: blobs by digest, snapshots by commit, refs by branch.

Both the ``tea`` store and the machine's own Hugging Face cache are such folders, so either program finds what the other
fetched::

    models--org--repo/blobs/<sha256>
    models--org--repo/refs/main                      the commit
    models--org--repo/snapshots/<commit>/file.gguf   a link to ../../blobs/<sha256>

Knows nothing of the network or of what is in the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from the_edge_agent.errors import PathRefused
from the_edge_agent.store.paths import checked_commit, checked_part, checked_relative, checked_sha256

LOCAL_ORGANISATION = "local"
"""Under this name the store keeps what didn't come from the hub."""


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file in a snapshot."""

    repo: str
    revision: str
    file: str
    path: Path


@dataclass(frozen=True, slots=True)
class HubCache:
    """The folder ``root``; it needn't exist for reading."""

    root: Path

    def repo_dir(self, repo: str) -> Path:
        """Where the repository ``org/name`` lives. Raises PathRefused for a name that leads elsewhere."""
        org, _, name = repo.partition("/")
        checked_part(org, place=f"repository {repo!r}")
        checked_part(name, place=f"repository {repo!r}")
        return self.root / f"models--{org}--{name}"

    def blob(self, repo: str, sha256: str) -> Path:
        """Where a file of that digest lies or would lie."""
        return self.repo_dir(repo) / "blobs" / checked_sha256(sha256, place="blob")

    def find(self, repo: str, file: str, revision: str = "main") -> Path | None:
        """The file as ``revision`` names it, else as any snapshot holds it; None where it isn't whole."""
        relative = checked_relative(file, place=f"repository {repo!r}")
        for snapshot in self._snapshots(repo, revision):
            path = snapshot / relative
            if path.is_file():
                return path
        return None

    def files(self, repo: str, revision: str = "main") -> tuple[str, ...]:
        """Names of the GGUF files held of a repository, sorted."""
        names: set[str] = set()
        for snapshot in self._snapshots(repo, revision):
            names.update(
                path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*.gguf") if path.is_file()
            )
        return tuple(sorted(names))

    def all_files(self) -> Iterator[CachedFile]:
        """Every GGUF file held, once a snapshot."""
        for folder in sorted(self.root.glob("models--*--*")):
            org, _, name = folder.name.removeprefix("models--").partition("--")
            for path in sorted((folder / "snapshots").glob("*/**/*.gguf")):
                if path.is_file():
                    snapshot, *parts = path.relative_to(folder / "snapshots").parts
                    yield CachedFile(f"{org}/{name}", snapshot, "/".join(parts), path)

    def link(self, repo: str, file: str, *, sha256: str, commit: str, revision: str = "main") -> Path:
        """Name the blob ``sha256`` as ``file`` in the snapshot ``commit``, and point ``revision`` at it.

        Safe to repeat. Raises PathRefused where a link already there leads out of the cache.
        """
        relative = checked_relative(file, place=f"repository {repo!r}")
        folder = self.repo_dir(repo)
        snapshot = folder / "snapshots" / checked_commit(commit, place=f"repository {repo!r}")
        path = snapshot / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        self._check_inside(path.parent)
        blob = self.blob(repo, sha256)
        temporary = path.parent / f".{path.name}.{os.getpid()}.new"
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(os.path.relpath(blob, path.parent))
        except OSError:  # a file system without symbolic links
            temporary.hardlink_to(blob)
        temporary.replace(path)
        ref = folder / "refs" / checked_part(revision, place=f"repository {repo!r}")
        ref.parent.mkdir(parents=True, exist_ok=True)
        self._check_inside(ref.parent)
        temporary = ref.parent / f".{ref.name}.{os.getpid()}.new"
        temporary.write_text(commit)
        temporary.replace(ref)
        return path

    def remove(self, repo: str, file: str) -> int:
        """Take ``file`` out of every snapshot, and its blob where nothing else names it; returns the bytes freed."""
        relative = checked_relative(file, place=f"repository {repo!r}")
        folder = self.repo_dir(repo)
        if not folder.is_dir():
            return 0
        self._check_inside(folder)
        self._check_inside(folder / "blobs")
        blobs: set[Path] = set()
        freed = 0
        for path in list((folder / "snapshots").glob(f"*/{relative}")):
            target = path.resolve()
            if path.is_symlink() and target.parent == (folder / "blobs").resolve():
                blobs.add(target)
            elif path.is_file() and not path.is_symlink():
                freed += path.stat().st_size
            path.unlink()
        used = {link.resolve() for link in (folder / "snapshots").rglob("*") if link.is_symlink()}
        for blob in blobs - used:
            freed += blob.stat().st_size if blob.is_file() else 0
            blob.unlink(missing_ok=True)
        self._prune(folder)
        return freed

    def ensure_inside(self, path: Path) -> Path:
        """Make ``path`` (a folder) and return it; raises PathRefused where a link leads it out of the cache."""
        path.mkdir(parents=True, exist_ok=True)
        self._check_inside(path)
        return path

    def _snapshots(self, repo: str, revision: str) -> list[Path]:
        folder = self.repo_dir(repo)
        ref = folder / "refs" / checked_part(revision, place=f"repository {repo!r}")
        try:
            named = [folder / "snapshots" / checked_commit(ref.read_text().strip(), place=str(ref))]
        except (OSError, UnicodeDecodeError, PathRefused):
            named = [folder / "snapshots" / revision]
        if revision != "main":
            return named  # a pinned revision is never answered by another one
        others = sorted((folder / "snapshots").glob("*"), key=lambda path: path.name)
        return named + [path for path in others if path not in named]

    def _check_inside(self, path: Path) -> None:
        root = self.root.resolve()
        if not path.resolve().is_relative_to(root):
            raise PathRefused(
                "a link there leads out of the store",
                place=str(path),
                fix=f"remove the link; files stay below {root}",
            )

    @staticmethod
    def _prune(folder: Path) -> None:
        for path in sorted(folder.rglob("*"), key=lambda path: len(path.parts), reverse=True):
            if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
        if folder.is_dir() and not any(folder.glob("snapshots/*")) and not any(folder.glob("blobs/*")):
            for path in sorted(folder.rglob("*"), key=lambda path: len(path.parts), reverse=True):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            folder.rmdir()
