"""The Hugging Face hub: where a file is, and what a repository holds. Knows nothing of what is on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from the_edge_agent.errors import DownloadFailed
from the_edge_agent.store.backoff import Backoff
from the_edge_agent.store.http_options import HttpOptions
from the_edge_agent.store.http_source import HttpSource
from the_edge_agent.store.patience import ask_patiently

_LONGEST_LISTING_BYTES = 16 * 1024 * 1024
_MOST_FILES = 20_000


@dataclass(frozen=True, slots=True)
class HubListing:
    """File names of a repository at a revision, and the licence its card names (empty where it names none)."""

    files: tuple[str, ...]
    license: str = ""


def file_url(endpoint: str, repo: str, revision: str, file: str) -> str:
    """Where the hub serves a file."""
    return f"{endpoint.rstrip('/')}/{quote(repo)}/resolve/{quote(revision, safe='')}/{quote(file)}"


def load_listing(
    endpoint: str, repo: str, revision: str, http: HttpOptions, backoff: Backoff | None = None
) -> HubListing:
    """Ask the hub what a repository holds. Raises DownloadFailed."""
    url = f"{endpoint.rstrip('/')}/api/models/{quote(repo)}/revision/{quote(revision, safe='')}"
    source = HttpSource(url, http, connections=1)
    try:
        raw = ask_patiently(
            lambda: source.read_all(most_bytes=_LONGEST_LISTING_BYTES), url, backoff or Backoff()
        )
    finally:
        source.close()
    return parse_listing(raw, place=url)


def parse_listing(data: bytes, *, place: str) -> HubListing:
    """Read the hub's answer; names in it are not yet trusted. Raises DownloadFailed where it isn't one."""
    try:
        raw = json.loads(data)
        document = cast("dict[str, Any]", raw)
        siblings = cast("list[dict[str, Any]]", document["siblings"])
        names = tuple(str(entry["rfilename"]) for entry in siblings[:_MOST_FILES])
        card = document.get("cardData")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DownloadFailed("the hub's answer is no listing", place=place, fix="try again later") from None
    license_name = cast("dict[str, Any]", card).get("license", "") if isinstance(card, dict) else ""
    return HubListing(names, license_name if isinstance(license_name, str) else "")
