"""What agents remember in a browser: values by key with vectors, kept in IndexedDB by the host, searched here.

Vectors are rounded to float32, as the native memory keeps them, so that both rank alike.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import hypot
from operator import mul
from typing import Any

from the_edge_agent.browser.border import Border
from the_edge_agent.engine.ports import MemoryHit
from the_edge_agent.errors import ActionError
from the_edge_agent.inference import JsonObject, JsonValue


class TabMemory:
    """The MemoryPort over the host's store."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def store(
        self,
        namespace: str,
        key: str,
        value: JsonValue,
        *,
        metadata: JsonObject,
        vector: Sequence[float] | None,
    ) -> None:
        """Keep a value, in place of what the key held."""
        rounded = None if vector is None else array("f", vector).tolist()
        entry = {"namespace": namespace, "key": key, "value": value, "metadata": metadata, "vector": rounded}
        await self._border.call("memory.put", entry)

    async def retrieve(self, namespace: str, key: str) -> MemoryHit | None:
        """The value of a key, or None."""
        entry = await self._border.call("memory.get", {"namespace": namespace, "key": key})
        return None if entry is None else MemoryHit(key, entry["value"], entry["metadata"], 1.0)

    async def search(self, namespace: str, vector: Sequence[float], *, limit: int) -> Sequence[MemoryHit]:
        """The nearest entries by cosine, the best first. Raises ActionError where the vectors kept have another length."""
        entries: list[dict[str, Any]] = await self._border.call("memory.all", {"namespace": namespace})
        kept = [entry for entry in entries if entry["vector"] is not None]
        fitting = [entry for entry in kept if len(entry["vector"]) == len(vector)]
        if kept and not fitting:
            raise ActionError(
                f"the memory {namespace!r} holds vectors of {len(kept[0]['vector'])} numbers, "
                f"and the search has {len(vector)}",
                fix="embed with the model the memory was made with, or use another namespace",
            )
        wanted = array("f", vector).tolist()
        scored = [(1.0 - _cosine(wanted, entry["vector"]), entry["key"], entry) for entry in fitting]
        scored.sort(key=lambda item: item[:2])
        return tuple(
            MemoryHit(key, entry["value"], entry["metadata"], 1.0 - distance)
            for distance, key, entry in scored[:limit]
        )


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    length = hypot(*first) * hypot(*second)
    return sum(map(mul, first, second)) / length if length else 0.0
