"""The run log as a protocol: append-only records of one run, and the records' shapes.

Records are JSON objects with a ``kind``. The log knows nothing of what they mean; the driver (``run``) writes them and
``resume`` reads them back. SQLite, IndexedDB and memory implement it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from the_edge_agent.inference import JsonObject


class RunLog(Protocol):
    """One run's records. ``append`` returns once the record survives kill -9 (or power loss, where so configured)."""

    @property
    def run_id(self) -> str: ...

    def append(self, record: JsonObject) -> None:
        """Commit one record. Synchronous on purpose: a commit is tens of microseconds, and ordering is the point."""
        ...

    def records(self) -> Sequence[JsonObject]:
        """Every record, in order. Raises RunLogCorrupt with the place; what stands before it is kept."""
        ...
