"""A cache of node results for the time of one run: what a run without a store has. Knows nothing of what it keeps."""

from __future__ import annotations

from the_edge_agent.engine.ports import CachedValue
from the_edge_agent.inference import JsonValue


class MemoryCache:
    """Values by key until they expire."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[JsonValue, float]] = {}

    async def get(self, key: str, *, now_s: float) -> CachedValue | None:
        """The value, or None where there is none that still counts."""
        value, expires_s = self._entries.get(key, (None, 0.0))
        return CachedValue(value) if expires_s > now_s else None

    async def put(self, key: str, value: JsonValue, *, expires_s: float) -> None:
        """Keep a value."""
        self._entries[key] = (value, expires_s)
