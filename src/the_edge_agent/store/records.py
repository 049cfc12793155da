"""What was fetched, from where, and what it must be ever after: one small JSON a file.

A digest that nobody promised beforehand is taken from the first pull and compared by every later one. The chain (see
``sha256``) lets each chunk be checked and repaired alone. Knows nothing of the network.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from the_edge_agent.store.chunks import DEFAULT_CHUNK_BYTES
from the_edge_agent.store.paths import checked_part, checked_relative
from the_edge_agent.store.sha256 import STATE_BYTES


@dataclass(frozen=True, slots=True)
class PullRecord:
    """A file of the store or of the Hugging Face cache as it was when it was accepted."""

    repo: str
    file: str
    revision: str
    commit: str
    url: str
    size_bytes: int
    sha256: str
    license: str = ""
    chunk_bytes: int = DEFAULT_CHUNK_BYTES
    chain: str = ""
    """States before each chunk, as hex, one after the other; empty where none could be had."""

    def states(self) -> tuple[bytes, ...]:
        """The chain's states, one a chunk; empty where there is no whole chain."""
        try:
            raw = bytes.fromhex(self.chain)
        except ValueError:
            return ()
        states = tuple(raw[at : at + STATE_BYTES] for at in range(0, len(raw), STATE_BYTES))
        return states if len(states) == -(-self.size_bytes // self.chunk_bytes) else ()


def record_path(store_dir: Path, repo: str, file: str, revision: str) -> Path:
    """Where the record of a file lies. Raises PathRefused for names that lead elsewhere."""
    org, _, name = repo.partition("/")
    place = f"repository {repo!r}"
    folder = f"{checked_part(org, place=place)}--{checked_part(name, place=place)}@{checked_part(revision, place=place)}"
    relative = checked_relative(file, place=place)
    return store_dir / "records" / folder / relative.parent / f"{relative.name}.json"


def load_record(store_dir: Path, repo: str, file: str, revision: str) -> PullRecord | None:
    """The record of a file; None where there is none that can be read."""
    try:
        raw = json.loads(record_path(store_dir, repo, file, revision).read_text(encoding="utf-8"))
        record = PullRecord(**cast("dict[str, Any]", raw))
        return record if record.chunk_bytes > 0 and record.size_bytes >= 0 else None
    except (OSError, ValueError, TypeError):
        return None


def save_record(store_dir: Path, record: PullRecord) -> None:
    """Write a record down, atomically."""
    path = record_path(store_dir, record.repo, record.file, record.revision)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.write_text(json.dumps(asdict(record)), encoding="utf-8")
    temporary.replace(path)


def remove_record(store_dir: Path, repo: str, file: str, revision: str) -> None:
    """Forget a file."""
    path = record_path(store_dir, repo, file, revision)
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == store_dir or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()
