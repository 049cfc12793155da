"""Results of nodes with ``cache``, kept in one SQLite file across runs."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from the_edge_agent.adapters.sqlite_file import open_database
from the_edge_agent.engine.ports import CachedValue
from the_edge_agent.errors import RunError
from the_edge_agent.inference import JsonValue

_SCHEMA = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires_s REAL NOT NULL) WITHOUT ROWID;"


class SqliteCache:
    """The CachePort over a file. Opens it for each look: nothing to close, and other processes share it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    async def get(self, key: str, *, now_s: float) -> CachedValue | None:
        """The value, or None where there is none that still counts."""
        if not self.path.exists():
            return None
        with closing(open_database(self.path, _SCHEMA, 1, corrupt=RunError)) as connection:
            row = connection.execute(
                "SELECT value FROM entries WHERE key = ? AND expires_s > ?", (key, now_s)
            ).fetchone()
        return None if row is None else CachedValue(json.loads(row[0].decode("utf-8", "surrogatepass")))

    async def put(self, key: str, value: JsonValue, *, expires_s: float) -> None:
        """Keep a value; what has expired by the clock of SQLite goes at the same time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        with closing(open_database(self.path, _SCHEMA, 1, corrupt=RunError)) as connection:
            connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (key, data, expires_s))
            connection.execute("DELETE FROM entries WHERE expires_s < unixepoch()")
