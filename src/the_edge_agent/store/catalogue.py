"""The models known by name: ``catalogue.json`` as frozen entries. Knows nothing of what is on disk or on the network.

A size or a digest that isn't known is null there: the hub's own header gives it at the first pull, and the record of
that pull is compared ever after.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from the_edge_agent.errors import ModelNotFound
from the_edge_agent.store.refs import HubRef

CATALOGUE_PATH = Path(__file__).with_name("catalogue.json")
EMBEDDED_NAME = "tiny"


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A file of a model; None where a fact isn't known yet."""

    name: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model known by name. ``approx_bytes`` is for planning before anything was fetched, never for checking."""

    name: str
    source: str
    files: tuple[CatalogueFile, ...]
    quantization: str
    architecture: str
    context_length: int
    license: str
    level: str
    title: str = ""
    aliases: tuple[str, ...] = ()
    approx_bytes: int = 0
    license_url: str | None = None
    variants: tuple[str, ...] = field(default=())

    @property
    def embedded(self) -> bool:
        """Whether the model ships inside the package."""
        return self.source == "embedded"

    @property
    def repo(self) -> str:
        """``org/name`` on the hub; empty for the embedded model."""
        return "" if self.embedded else self.source.removeprefix("hf:")

    def ref(self) -> HubRef:
        """The entry's place on the hub."""
        return HubRef(self.repo, file=self.files[0].name)


@cache
def load_catalogue(path: Path = CATALOGUE_PATH) -> tuple[CatalogueEntry, ...]:
    """Read the catalogue; it is the project's own file, so a mistake in it is a plain ValueError or KeyError."""
    return parse_catalogue(json.loads(path.read_text(encoding="utf-8")))


def parse_catalogue(document: Mapping[str, Any]) -> tuple[CatalogueEntry, ...]:
    """Entries of a catalogue document, in its order."""
    return tuple(_entry(cast("dict[str, Any]", raw)) for raw in document["models"])


def find_entry(name: str, entries: tuple[CatalogueEntry, ...] | None = None) -> CatalogueEntry | None:
    """The entry of that name or alias (letter case aside), or None."""
    lowered = name.lower()
    for entry in load_catalogue() if entries is None else entries:
        if lowered == entry.name or lowered in entry.aliases:
            return entry
    return None


def unknown_name(name: str, *, place: str = "") -> ModelNotFound:
    """The error for a name that nobody knows; proposes one that is near."""
    import difflib

    known = [text for entry in load_catalogue() for text in (entry.name, *entry.aliases)]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ModelNotFound(
        f"there is no model named {name!r}",
        place=place,
        fix=f"{hint}`tea models list` shows those that are known",
    )


def _entry(raw: dict[str, Any]) -> CatalogueEntry:
    return CatalogueEntry(
        name=raw["name"],
        source=raw["source"],
        files=tuple(CatalogueFile(file["name"], file["size_bytes"], file["sha256"]) for file in raw["files"]),
        quantization=raw["quantization"],
        architecture=raw["architecture"],
        context_length=raw["context_length"],
        license=raw["license"],
        level=raw["level"],
        title=raw["title"],
        aliases=tuple(raw["aliases"]),
        approx_bytes=raw["approx_bytes"],
        license_url=raw["license_url"],
        variants=tuple(raw["variants"]),
    )
