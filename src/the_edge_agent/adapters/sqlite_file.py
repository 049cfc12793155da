"""Opens the project's SQLite files alike: WAL, how hard to sync, the format's number. Knows nothing of the tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal, TypeAlias

from the_edge_agent.errors import EdgeAgentError, RunError, RunLogCorrupt

#: ``normal`` survives kill -9, ``full`` power loss too.
Sync: TypeAlias = Literal["normal", "full"]
#: Pages of 4 KB in the write-ahead log before they move into the file: bounds what lies beside it after a kill.
_CHECKPOINT_PAGES = 1000
_BUSY_S = 30.0


def open_database(
    path: Path,
    schema: str,
    version: int,
    *,
    sync: Sync = "normal",
    corrupt: type[EdgeAgentError] = RunLogCorrupt,
) -> sqlite3.Connection:
    """An autocommitting connection; makes the file and its tables where they are missing.

    Raises ``corrupt`` where the file is no database or of a newer version, RunError where it can't be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
    except sqlite3.Error as error:
        raise RunError(f"it can't be opened: {error}", place=str(path), fix="check the path") from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {sync.upper()}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;")
    except sqlite3.OperationalError as error:
        connection.close()
        raise RunError(
            f"it can't be used: {error}", place=str(path), fix="check the disk and the rights"
        ) from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise corrupt(
            f"it is no sound database: {error}", place=str(path), fix="restore it, or remove it"
        ) from error
    if found > version:
        connection.close()
        raise corrupt(
            f"it has format {found}, and this version reads up to {version}",
            place=str(path),
            fix="use a newer version",
        )
    return connection
