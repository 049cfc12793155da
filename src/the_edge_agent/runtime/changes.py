"""What a configuration that is read again changes in a running daemon, and what it doesn't, in words. Pure; models aside."""

from __future__ import annotations

from operator import attrgetter

from the_edge_agent.runtime.config import RuntimeConfig

#: What is taken at once (``offline`` is a matter of each model's worker).
LIVE_KEYS = ("model_dirs", "shutdown_s", "limits", "workers", "gateway")
#: What is read once, at the start.
FIXED_KEYS = (
    *("http", "grpc", "socket", "api_key_env", "allowed_hosts", "allowed_origins", "agents", "telemetry"),
    *("limits.connections", "limits.header_timeout_s"),
)


def words_for_changes(
    started_with: RuntimeConfig, before: RuntimeConfig, now: RuntimeConfig
) -> tuple[str, ...]:
    """A line a key: what is different from ``before``, and what would take a restart to be as ``now`` says."""
    live = [f"{key} changed" for key in LIVE_KEYS if getattr(before, key) != getattr(now, key)]
    fixed = [key for key in FIXED_KEYS if attrgetter(key)(started_with) != attrgetter(key)(now)]
    return (*live, *(f"{key}: a change needs a restart" for key in fixed))
