"""A model as a web site holds it: cut into files that every static host takes, with the manifest the browser checks by.

One pass over the bytes. Knows nothing of the page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from the_edge_agent.bundle.plan import ModelSource
from the_edge_agent.errors import BundleFailed
from the_edge_agent.store.chunks import DEFAULT_CHUNK_BYTES, Chunk
from the_edge_agent.store.manifest import ChunkManifest

#: A page's WebAssembly memory ends at 4 GiB, and the KV cache needs room in it too.
MOST_BYTES = 4 * 1024**3 - 256 * 1024**2
#: Whole chunks, and less than 25 MiB: the smallest limit for one file among the usual static hosts.
DEFAULT_PART_BYTES = 3 * DEFAULT_CHUNK_BYTES
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class WebModel:
    """A model that was written: its manifest, and its files in order with their sizes, relative to the manifest."""

    manifest: ChunkManifest
    files: tuple[tuple[str, int], ...]
    license: str = ""
    license_url: str = ""

    def to_json(self) -> dict[str, Any]:
        """``model-manifest.json``: the chunk manifest, and where its bytes lie."""
        files = [{"path": path, "size": size} for path, size in self.files]
        return {**self.manifest.to_json(), "files": files}


def write_model(
    model: ModelSource, folder: Path, *, prefix: str, part_bytes: int = DEFAULT_PART_BYTES
) -> WebModel:
    """Write a model's files below ``folder / prefix``. Raises BundleFailed for a model that no page can load.

    A file longer than ``part_bytes`` is cut into ``name.part.000`` and so on; the shards of a split model stay whole.
    """
    size = sum(file.stat().st_size for file in model.files)
    if size > MOST_BYTES:
        raise BundleFailed(
            f"{model.name} is {size / 1024**3:.1f} GiB, and a page can load {MOST_BYTES / 1024**3:.2f} GiB",
            place="tea bundle web",
            fix="take a smaller model or a smaller quantization",
        )
    (folder / prefix).mkdir(parents=True, exist_ok=True)
    digests = _Digests()
    files: list[tuple[str, int]] = []
    for source in model.files:
        whole = len(model.files) > 1 or source.stat().st_size <= part_bytes
        for path, written in _copy(source, folder, prefix, None if whole else part_bytes, digests):
            files.append((path, written))
    chunks, sha256 = digests.close()
    # Versions are told apart by what is in them: a name can stay while the file changes.
    manifest = ChunkManifest(model.name, sha256[:16], size, sha256, DEFAULT_CHUNK_BYTES, chunks)
    return WebModel(manifest, tuple(files), model.license, model.license_url)


def _copy(
    source: Path, folder: Path, prefix: str, part_bytes: int | None, digests: _Digests
) -> Iterator[tuple[str, int]]:
    with source.open("rb") as reader:
        left = source.stat().st_size
        index = 0
        while left:
            room = left if part_bytes is None else min(left, part_bytes)
            name = source.name if part_bytes is None else f"{source.name}.part.{index:03d}"
            with (folder / prefix / name).open("wb") as writer:
                wanted = room
                while wanted:
                    piece = reader.read(min(wanted, _PIECE_BYTES))
                    if not piece:
                        raise BundleFailed("it became shorter while it was read", place=str(source))
                    writer.write(piece)
                    digests.update(piece)
                    wanted -= len(piece)
            yield f"{prefix}/{name}", room
            left -= room
            index += 1


class _Digests:
    """The digest of the whole and of each chunk, while the bytes go by."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._chunk = hashlib.sha256()
        self._length = 0
        self._chunks: list[Chunk] = []

    def update(self, data: bytes) -> None:
        self._whole.update(data)
        view = memoryview(data)
        while view:
            part = view[: DEFAULT_CHUNK_BYTES - self._length]
            self._chunk.update(part)
            self._length += len(part)
            view = view[len(part) :]
            if self._length == DEFAULT_CHUNK_BYTES:
                self._cut()

    def close(self) -> tuple[tuple[Chunk, ...], str]:
        if self._length:
            self._cut()
        return tuple(self._chunks), self._whole.hexdigest()

    def _cut(self) -> None:
        index = len(self._chunks)
        self._chunks.append(Chunk(index, index * DEFAULT_CHUNK_BYTES, self._length, self._chunk.hexdigest()))
        self._chunk = hashlib.sha256()
        self._length = 0
