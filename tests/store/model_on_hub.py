"""One model on a fake hub, and options whose waits are milliseconds."""

from __future__ import annotations

from the_edge_agent.store.backoff import Backoff
from the_edge_agent.store.download import DownloadOptions
from the_edge_agent.store.http_options import HttpOptions
from the_edge_agent.store.pull_options import PullOptions
from the_edge_agent.store.transfer import TransferOptions
from the_edge_agent.testing.gguf_file import pattern_model

REPO = "unsloth/gemma-3-1b-it-GGUF"
FILE = "gemma-3-1b-it-Q8_0.gguf"
DATA = pattern_model(700_001)
DOWNLOAD = DownloadOptions(
    http=HttpOptions(stall_timeout_s=5.0),
    transfer=TransferOptions(backoff=Backoff(base_s=0.001, longest_s=0.004)),
    chunk_bytes=64 * 1024,
)


def options(hub, **more):
    return PullOptions(download=DOWNLOAD, endpoint=hub.endpoint, **more)
