"""Which files a named model is: where each belongs, where it comes from, and what is promised of it.

Asks the hub for a repository's listing where a reference leaves the file open. Fetches none of the files and knows
nothing of what is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass

from the_edge_agent.store.catalogue import CatalogueEntry
from the_edge_agent.store.hub import file_url, load_listing
from the_edge_agent.store.hub_cache import LOCAL_ORGANISATION
from the_edge_agent.store.paths import checked_part
from the_edge_agent.store.pull_options import PullOptions, refuse_offline
from the_edge_agent.store.refs import HubRef, NameRef, UrlRef
from the_edge_agent.store.shards import choose_files, shard_names


@dataclass(frozen=True, slots=True)
class WantedFile:
    """One file to have: where it belongs, where it comes from, what is promised."""

    repo: str
    file: str
    revision: str
    url: str
    size_bytes: int | None = None
    sha256: str | None = None


def wanted_files(
    ref: NameRef | HubRef | UrlRef, entry: CatalogueEntry | None, options: PullOptions
) -> tuple[tuple[WantedFile, ...], str]:
    """The files that make up the model, and its licence where it is known."""
    if isinstance(ref, UrlRef):
        name = checked_part(options.name or ref.file.removesuffix(".gguf"), place=ref.url)
        base = ref.url.rsplit("/", 1)[0] if len(shard_names(ref.file)) > 1 else ""
        return tuple(
            WantedFile(
                f"{LOCAL_ORGANISATION}/{name}",
                file,
                "main",
                f"{base}/{file}" if base else ref.url,
                sha256=options.sha256,
            )
            for file in shard_names(ref.file)
        ), ""
    if entry is not None:
        return tuple(
            WantedFile(
                entry.repo,
                file.name,
                "main",
                file_url(options.endpoint, entry.repo, "main", file.name),
                file.size_bytes,
                options.sha256 or file.sha256,
            )
            for file in entry.files
        ), entry.license
    assert isinstance(ref, HubRef)
    license_name = ""
    names = shard_names(ref.file)
    if not ref.file:
        refuse_offline(options, str(ref))
        listing = load_listing(
            options.endpoint, ref.repo, ref.revision, options.download.http, options.download.transfer.backoff
        )
        names, license_name = choose_files(listing.files, ref.quantization, place=str(ref)), listing.license
    return tuple(
        WantedFile(
            ref.repo,
            name,
            ref.revision,
            file_url(options.endpoint, ref.repo, ref.revision, name),
            sha256=options.sha256,
        )
        for name in names
    ), license_name
