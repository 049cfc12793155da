"""The log of one run in a store's SQLite file, open for whoever drives the run.

Appending is one row and one commit, and blocks until it is there. Knows nothing of other runs, and of a record only
that it is JSON.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from the_edge_agent.adapters.file_lock import FileLock
from the_edge_agent.adapters.sqlite_records import (
    SPAN,
    check_sound,
    checksum_of,
    encode,
    first_key,
    read_records,
)
from the_edge_agent.errors import RunError
from the_edge_agent.inference import JsonObject


class SqliteRunLog:
    """The log of one run, open for its driver. Close it, or use it in a ``with``: it holds the run's lock."""

    def __init__(self, store: Path, run_id: str, lock: FileLock, connection: sqlite3.Connection) -> None:
        self._run_id = run_id
        self._store = store
        self._lock = lock
        self._connection = connection
        self._first = first_key(self._connection, run_id)
        row = self._connection.execute(
            "SELECT max(key) FROM records WHERE key BETWEEN ? AND ?", (self._first, self._first + SPAN - 1)
        ).fetchone()
        self._number: int = (row[0] or self._first) - self._first

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self._run_id

    def append(self, record: JsonObject) -> None:
        """Commit one record. Raises ValueError or TypeError where it isn't JSON, RunError where it can't be written."""
        data = encode(record).encode("utf-8", "surrogatepass")
        number = self._number + 1
        checksum = checksum_of(self._run_id, number, data)
        try:
            self._connection.execute(
                "INSERT INTO records VALUES (?, ?, ?)", (self._first + number, data, checksum)
            )
        except sqlite3.Error as error:
            raise RunError(
                f"the run's log can't be written: {error}",
                place=str(self._store),
                fix="check the disk and resume",
            ) from error
        self._number = number

    def records(self) -> Sequence[JsonObject]:
        """Every record, in order. Raises RunLogCorrupt with the place of the first that is damaged."""
        records, damage = read_records(self._connection, self._run_id)
        check_sound(self._store, self._run_id, len(records), damage)
        return records

    def close(self) -> None:
        """Release the run; one that never began (its input was refused) leaves nothing. Safe to call twice."""
        if self._number == 0:
            # Closed already, or the disk is gone: then an empty run stays in the list.
            with suppress(sqlite3.Error):
                self._connection.execute("DELETE FROM runs WHERE id = ?", (self._run_id,))
        self._connection.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
