"""A run log in memory: for tests, for the browser before it has one, and as the example of the protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from the_edge_agent.inference import JsonObject


class MemoryLog:
    """Keeps each record as JSON text, so that nobody can change what was committed."""

    def __init__(self, run_id: str, records: Iterable[JsonObject] = ()) -> None:
        self._run_id = run_id
        self._lines = [json.dumps(record, allow_nan=False) for record in records]

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self._run_id

    @property
    def size_bytes(self) -> int:
        """Length of all records as text."""
        return sum(map(len, self._lines))

    def append(self, record: JsonObject) -> None:
        """Keep one record."""
        self._lines.append(json.dumps(record, allow_nan=False))

    def records(self) -> Sequence[JsonObject]:
        """Every record, in order."""
        return [json.loads(line) for line in self._lines]
