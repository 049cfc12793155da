"""How a model is to be pulled, and the refusal where nothing may be fetched at all. Knows nothing of models or files."""

from __future__ import annotations

from dataclasses import dataclass, field

from the_edge_agent.errors import DownloadFailed
from the_edge_agent.store.download import DownloadOptions
from the_edge_agent.store.manifest import ChunkManifest

DEFAULT_ENDPOINT = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class PullOptions:
    """How to pull. ``accept_new`` takes what the hub has now in place of what was recorded."""

    download: DownloadOptions = field(default_factory=DownloadOptions)
    endpoint: str = DEFAULT_ENDPOINT
    offline: bool = False
    accept_new: bool = False
    into_hf_cache: bool = False
    name: str = ""
    """The name to keep a file from an address under (default: its file name)."""
    sha256: str | None = None
    manifest: ChunkManifest | None = None


def refuse_offline(options: PullOptions, place: str) -> None:
    """Raises DownloadFailed where the options forbid to fetch what lies at ``place``."""
    if options.offline:
        raise DownloadFailed(
            "it is not on this machine, and TEA_OFFLINE or HF_HUB_OFFLINE forbids to fetch it",
            place=place,
            fix="unset the variable, or name a file with --gguf",
        )
