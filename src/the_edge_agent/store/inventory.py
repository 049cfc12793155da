"""What is on this machine: models of the catalogue and others, whole or under way; and taking them away again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from the_edge_agent.errors import ModelNotFound, StoreError
from the_edge_agent.store.catalogue import CatalogueEntry, find_entry, load_catalogue, unknown_name
from the_edge_agent.store.hub_cache import LOCAL_ORGANISATION
from the_edge_agent.store.lock import hold_lock
from the_edge_agent.store.partial import fetched_fraction
from the_edge_agent.store.places import StorePlaces
from the_edge_agent.store.records import PullRecord, load_record, remove_record
from the_edge_agent.store.refs import FileRef, HubRef, NameRef, UrlRef, parse_ref
from the_edge_agent.store.shards import choose_files, shard_names

Where: TypeAlias = Literal["embedded", "store", "hf-cache", "partial", "absent"]


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model that is known or held. ``size_bytes`` is approximate where it is absent."""

    name: str
    where: Where
    quantization: str
    size_bytes: int
    level: str
    license: str
    source: str
    path: Path | None = None
    done_bytes: int = 0


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file in one of the caches, with the record of its pull where there is one."""

    repo: str
    file: str
    revision: str
    path: Path
    record: PullRecord | None
    shared: bool


def list_models(places: StorePlaces, embedded: Path | None) -> tuple[ModelListing, ...]:
    """The catalogue in its order, then whatever else the store and the Hugging Face cache hold."""
    rows = [_catalogue_row(entry, places, embedded) for entry in load_catalogue()]
    known = {(entry.repo, file.name) for entry in load_catalogue() for file in entry.files}
    seen: set[tuple[str, str]] = set()
    for cache, where in ((places.own, "store"), (places.shared, "hf-cache")):
        for held in cache.all_files():
            first = shard_names(held.file)[0]
            if (held.repo, held.file) in known or first != held.file or (held.repo, held.file) in seen:
                continue
            seen.add((held.repo, held.file))
            org, _, name = held.repo.partition("/")
            local = org == LOCAL_ORGANISATION
            rows.append(
                ModelListing(
                    name=name if local else f"hf:{held.repo}/{held.file}",
                    where="store" if where == "store" else "hf-cache",
                    quantization="",
                    size_bytes=sum(
                        part.stat().st_size
                        for part in (held.path.with_name(shard) for shard in shard_names(held.path.name))
                        if part.is_file()
                    ),
                    level="",
                    license="",
                    source="local" if local else f"hf:{held.repo}",
                    path=held.path,
                )
            )
    return tuple(rows)


def _catalogue_row(entry: CatalogueEntry, places: StorePlaces, embedded: Path | None) -> ModelListing:
    where: Where = "absent"
    path: Path | None = None
    size, done = entry.approx_bytes, 0
    if entry.embedded:
        where, path = ("embedded", embedded) if embedded else ("absent", None)
    else:
        for cache, found_in in ((places.own, "store"), (places.shared, "hf-cache")):
            found = cache.find(entry.repo, entry.files[0].name)
            if found is not None:
                where, path = ("store" if found_in == "store" else "hf-cache"), found
                break
        else:
            fraction = fetched_fraction(places.partial_dir(entry.repo, entry.files[0].name, "main"))
            if fraction is not None:
                where, (done, size) = "partial", fraction
    if path is not None:
        size = done = path.stat().st_size
    return ModelListing(
        entry.name, where, entry.quantization, size, entry.level, entry.license, entry.source, path, done
    )


def held_files(text: str, places: StorePlaces) -> tuple[HeldFile, ...]:
    """The files that a name or reference stands for and that are on this machine.

    Raises ModelNotFound where there are none.
    """
    held = tuple(
        HeldFile(repo, file, revision, path, load_record(places.store_dir, repo, file, revision), shared)
        for repo, file, revision in _named(text, places)
        for shared, cache in ((False, places.own), (True, places.shared))
        if (path := cache.find(repo, file, revision)) is not None
    )
    if not held:
        raise ModelNotFound(f"{text!r} is not on this machine", fix=f"`tea models pull {text}` fetches it")
    return held


def remove_model(text: str, places: StorePlaces, *, shared_too: bool = False) -> int:
    """Take a model, and what was fetched of it so far, out of the store; returns the bytes freed.

    Files in the Hugging Face cache belong to others as well and stay unless ``shared_too``. Raises ModelNotFound.
    """
    freed, touched = 0, False
    for repo, file, revision in _named(text, places):
        with hold_lock(places.lock_path(repo, file, revision), while_waiting=_refuse_busy(text)):
            partial_dir = places.partial_dir(repo, file, revision)
            if partial_dir.is_dir():
                freed += sum(path.stat().st_blocks * 512 for path in partial_dir.iterdir())
                shutil.rmtree(partial_dir, ignore_errors=True)
                touched = True
            for cache in (places.own, places.shared) if shared_too else (places.own,):
                if cache.find(repo, file, revision) is not None:
                    freed += cache.remove(repo, file)
                    touched = True
            if touched:
                remove_record(places.store_dir, repo, file, revision)
    if not touched:
        shared = any(places.shared.find(*named) is not None for named in _named(text, places))
        fix = (
            "it is in the Hugging Face cache: --hf-cache removes it there"
            if shared
            else "`tea models list` shows what is"
        )
        raise ModelNotFound(f"{text!r} is not in the store", fix=fix)
    return freed


def _named(text: str, places: StorePlaces) -> Iterator[tuple[str, str, str]]:
    """Repository, file and revision of each file that ``text`` stands for."""
    ref = parse_ref(text)
    if isinstance(ref, FileRef):
        raise ModelNotFound(
            f"{text!r} is a file and not a model of the store", fix="`tea models list` shows what is"
        )
    if isinstance(ref, NameRef):
        entry = find_entry(ref.name)
        if entry is not None and entry.embedded:
            raise ModelNotFound(
                "the embedded model is part of the package", fix="it can't be removed or repaired alone"
            )
        if entry is not None:
            yield from ((entry.repo, file.name, "main") for file in entry.files)
            return
        repo = f"{LOCAL_ORGANISATION}/{ref.name}"
        files = places.own.files(repo)
        if not files:
            raise unknown_name(ref.name)
        yield from ((repo, file, "main") for file in files)
    elif isinstance(ref, HubRef):
        names = shard_names(ref.file) if ref.file else _held_by_quantization(ref, places)
        yield from ((ref.repo, name, ref.revision) for name in names)
    else:
        yield from _of_url(ref)


def _of_url(ref: UrlRef) -> Iterator[tuple[str, str, str]]:
    repo = f"{LOCAL_ORGANISATION}/{ref.file.removesuffix('.gguf')}"
    yield from ((repo, name, "main") for name in shard_names(ref.file))


def _held_by_quantization(ref: HubRef, places: StorePlaces) -> tuple[str, ...]:
    names = {name for cache in (places.own, places.shared) for name in cache.files(ref.repo, ref.revision)}
    return choose_files(names, ref.quantization, place=str(ref)) if names else ()


class _refuse_busy:  # noqa: N801 - a function with a name to say
    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self) -> None:
        raise StoreError(
            f"{self._text!r} is being fetched by another process", fix="wait for it, or stop it first"
        )
