"""What agents remember beyond a run: values by key, and vectors searched by cosine, in one SQLite file.

The search is exact. The sqlite-vec extension computes the distances where it is installed and loadable; else a Python
function of the same name does, some fifty times slower: 10,000 vectors of 384 numbers in about half a second. This module
knows nothing of how vectors are made.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Sequence
from contextlib import closing
from math import hypot
from operator import mul
from pathlib import Path
from typing import Any

from the_edge_agent.adapters.sqlite_file import open_database
from the_edge_agent.engine.ports import MemoryHit
from the_edge_agent.errors import ActionError
from the_edge_agent.inference import JsonObject, JsonValue

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, metadata BLOB NOT NULL,
    dimensions INTEGER NOT NULL, vector BLOB, PRIMARY KEY (namespace, key)
);
"""


class SqliteMemory:
    """The MemoryPort over a file. Opens it for each call: nothing to close, and other processes share it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        blob = array("f", vector).tobytes() if vector is not None else None
        row = (namespace, key, _encoded(value), _encoded(metadata), len(vector or ()), blob)
        with closing(self._open()) as connection:
            connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)

    async def retrieve(self, namespace: str, key: str) -> MemoryHit | None:
        """The value of a key, or None."""
        if not self.path.exists():
            return None
        with closing(self._open()) as connection:
            row = connection.execute(
                "SELECT value, metadata FROM entries WHERE namespace = ? AND key = ?", (namespace, key)
            ).fetchone()
        return None if row is None else MemoryHit(key, _decoded(row[0]), _decoded(row[1]), 1.0)

    async def search(self, namespace: str, vector: Sequence[float], *, limit: int) -> Sequence[MemoryHit]:
        """The nearest entries by cosine, the best first. Raises ActionError where the vectors kept have another length."""
        if not self.path.exists():
            return ()
        with closing(self._open()) as connection:
            _add_distance(connection)
            rows = connection.execute(
                "SELECT key, value, metadata, vec_distance_cosine(vector, ?) AS distance FROM entries "
                "WHERE namespace = ? AND dimensions = ? AND vector IS NOT NULL ORDER BY distance, key LIMIT ?",
                (array("f", vector).tobytes(), namespace, len(vector), limit),
            ).fetchall()
            if not rows:
                _check_dimensions(connection, namespace, len(vector))
        return tuple(
            MemoryHit(key, _decoded(value), _decoded(metadata), 1.0 - (1.0 if distance is None else distance))
            for key, value, metadata, distance in rows
        )

    def _open(self) -> sqlite3.Connection:
        return open_database(self.path, _SCHEMA, 1, corrupt=ActionError)


def _add_distance(connection: sqlite3.Connection) -> None:
    """Give the connection ``vec_distance_cosine``, from sqlite-vec where that serves."""
    try:
        import sqlite_vec

        connection.enable_load_extension(True)
        sqlite_vec.load(connection)
        connection.enable_load_extension(False)
    except (ImportError, AttributeError, sqlite3.Error):
        connection.create_function("vec_distance_cosine", 2, _cosine_distance, deterministic=True)


def _cosine_distance(a: bytes, b: bytes) -> float | None:
    """1 - cosine of two float32 vectors; None where one has no length."""
    first, second = array("f", a), array("f", b)
    length = hypot(*first) * hypot(*second)
    return 1.0 - sum(map(mul, first, second)) / length if length else None


def _check_dimensions(connection: sqlite3.Connection, namespace: str, wanted: int) -> None:
    row = connection.execute(
        "SELECT dimensions FROM entries WHERE namespace = ? AND vector IS NOT NULL LIMIT 1", (namespace,)
    ).fetchone()
    if row is not None:
        raise ActionError(
            f"the memory {namespace!r} holds vectors of {row[0]} numbers, and the search has {wanted}",
            fix="embed with the model the memory was made with, or use another namespace",
        )


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> Any:
    return json.loads(data.decode("utf-8", "surrogatepass"))
