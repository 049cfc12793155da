"""Opens the project's SQLite files alike: WAL, how hard to sync, the format's number. Knows nothing of the tables."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import quote

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
    _check_version(connection, found, version, path, corrupt)
    return connection


def is_writable(path: Path) -> bool:
    """Whether the file and its folder can be written by us, rights and file system taken together."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


@contextmanager
def opened_read_only(
    path: Path, version: int, *, corrupt: type[EdgeAgentError] = RunLogCorrupt
) -> Generator[sqlite3.Connection]:
    """A connection to a file in a place that can't be written, where SQLite's write-ahead log can't be used as it is.

    What somebody left in that log is read from a copy of both files; without it the file is read as it stands. Raises
    ``corrupt`` and RunError as ``open_database``.
    """
    left = path.with_name(f"{path.name}-wal")
    with ExitStack() as stack:
        try:
            if left.exists() and left.stat().st_size:
                copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tea-"))) / path.name
                for source, target in ((path, copy), (left, copy.with_name(f"{copy.name}-wal"))):
                    shutil.copyfile(source, target)
                connection = sqlite3.connect(copy, isolation_level=None)
            else:
                uri = f"file:{quote(str(path.absolute()))}?immutable=1"
                connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            stack.enter_context(closing(connection))
            found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        except (OSError, sqlite3.OperationalError) as error:
            raise RunError(f"it can't be read: {error}", place=str(path), fix="check the rights") from error
        except sqlite3.DatabaseError as error:
            raise corrupt(
                f"it is no sound database: {error}", place=str(path), fix="restore it, or remove it"
            ) from error
        _check_version(connection, found, version, path, corrupt)
        yield connection


def _check_version(
    connection: sqlite3.Connection, found: int, version: int, path: Path, corrupt: type[EdgeAgentError]
) -> None:
    if found > version:
        connection.close()
        raise corrupt(
            f"it has format {found}, and this version reads up to {version}",
            place=str(path),
            fix="use a newer version",
        )
