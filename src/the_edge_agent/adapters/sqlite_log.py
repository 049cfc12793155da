"""Runs kept in one SQLite file: a store of append-only logs.

A record is one row: its JSON as UTF-8 (lone surrogates included), and a checksum over the run, its number and the
text. WAL with synchronous NORMAL survives kill -9, FULL survives power loss as well. One process drives a run at a time:
a lock beside the store is held as long as the log is open, and dies with its process.

JSON only: nothing in a store can make a reader execute anything. The store knows a log's first and last records as far
as a list of runs needs; what the others mean is the engine's business.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from zlib import crc32

from the_edge_agent.adapters.file_lock import FileLock
from the_edge_agent.adapters.sqlite_file import Sync, is_writable, open_database, opened_read_only
from the_edge_agent.engine.records import History, Status, read_history
from the_edge_agent.engine.run_id import new_run_id
from the_edge_agent.errors import RunBusy, RunError, RunIdTaken, RunLogCorrupt, RunNotFound, UsageError
from the_edge_agent.inference import JsonObject

_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: The store's own format, in user_version.
_VERSION = 1
#: A record's key is its run's key times this plus its number: one tree, no index, new rows at the end.
_SPAN = 1 << 32
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS records (key INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL);
"""
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list. ``status`` is ``running`` while a process drives it; times are seconds since the epoch."""

    run_id: str
    workflow: str
    status: Status
    created_s: float
    updated_s: float
    records: int
    size_bytes: int
    damage: str = ""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run with all that is kept of it. ``damage`` says where the log is broken; ``records`` are those before it."""

    summary: RunSummary
    history: History
    records: tuple[JsonObject, ...]


class SqliteRunLog:
    """The log of one run, open for its driver. Close it, or use it in a ``with``: it holds the run's lock."""

    def __init__(self, store: Path, run_id: str, lock: FileLock, connection: sqlite3.Connection) -> None:
        self._run_id = run_id
        self._store = store
        self._lock = lock
        self._connection = connection
        self._first = _first_key(self._connection, run_id)
        row = self._connection.execute(
            "SELECT max(key) FROM records WHERE key BETWEEN ? AND ?", (self._first, self._first + _SPAN - 1)
        ).fetchone()
        self._number: int = (row[0] or self._first) - self._first

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self._run_id

    def append(self, record: JsonObject) -> None:
        """Commit one record. Raises ValueError or TypeError where it isn't JSON, RunError where it can't be written."""
        data = _encode(record).encode("utf-8", "surrogatepass")
        number = self._number + 1
        checksum = _checksum(self._run_id, number, data)
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


class RunStore:
    """Runs in one file, with a folder of locks beside it. Opens the file when it is needed; holds nothing open."""

    def __init__(self, path: str | Path, *, sync: Sync = "normal") -> None:
        self.path = Path(path)
        self._sync: Sync = sync

    def create(self, run_id: str | None = None, *, sync: Sync | None = None) -> SqliteRunLog:
        """An empty log. Raises UsageError for a name that can't be one, RunIdTaken, RunBusy."""
        name = run_id if run_id is not None else new_run_id()
        check_run_id(name)
        lock = self._locked(name)
        try:
            # One connection for all: closing the last one moves the log into the file and waits for the disk.
            connection = self._connect(sync or self._sync)
            try:
                connection.execute("INSERT INTO runs (id, created_s) VALUES (?, ?)", (name, time.time()))
                return SqliteRunLog(self.path, name, lock, connection)
            except BaseException:
                connection.close()
                raise
        except BaseException as error:
            lock.release()
            if isinstance(error, sqlite3.IntegrityError):
                raise RunIdTaken(f"a run {name!r} exists", fix=f"go on with it: tea resume {name}") from error
            raise

    def open(self, run_id: str, *, sync: Sync | None = None) -> SqliteRunLog:
        """The log of a run, to go on with it. Raises RunNotFound, RunBusy."""
        self._require(run_id)
        lock = self._locked(run_id)
        try:
            return SqliteRunLog(self.path, run_id, lock, self._connect(sync or self._sync))
        except BaseException:
            lock.release()
            raise

    def read(self, run_id: str) -> tuple[JsonObject, ...]:
        """The records of a run, without keeping anybody from driving it. Raises RunNotFound, RunLogCorrupt."""
        self._require(run_id)
        with self._reading() as connection:
            records, damage = read_records(connection, run_id)
        check_sound(self.path, run_id, len(records), damage)
        return tuple(records)

    def list(self) -> tuple[RunSummary, ...]:
        """Every run, the latest first."""
        if not self.path.exists():
            return ()
        with self._reading() as connection:
            rows = connection.execute("SELECT id, created_s FROM runs ORDER BY created_s DESC, id").fetchall()
            return tuple(self._summary(connection, run_id, created_s) for run_id, created_s in rows)

    def show(self, run_id: str) -> RunDetails:
        """All that is kept of a run, also where its log is damaged. Raises RunNotFound."""
        created_s = self._require(run_id)
        with self._reading() as connection:
            records, damage = read_records(connection, run_id)
            summary = self._summary(connection, run_id, created_s)
        if damage:
            summary = _with_damage(summary, f"record {len(records) + 1}: {damage}")
        return RunDetails(summary, read_history(records) if records else History(), tuple(records))

    def prune(self, *, older_than_s: float = 0.0, run_ids: Sequence[str] | None = None) -> tuple[str, ...]:
        """Remove runs that ended: those named, else all whose last record is older. Runs in progress stay.

        Runs that wait for a person or were stopped can still be resumed, and stay unless they are named. Returns the
        names removed. Raises RunNotFound for a name that isn't there, RunBusy for one that is driven now.
        """
        if run_ids is not None:
            for run_id in run_ids:
                self._require(run_id)
            chosen = list(run_ids)
        else:
            before_s = time.time() - older_than_s
            chosen = [
                run.run_id
                for run in self.list()
                if run.status in {"finished", "failed"} and run.updated_s <= before_s
            ]
        for run_id in chosen:
            lock = self._locked(run_id)
            with lock, self._open() as connection:
                first = _first_key(connection, run_id)
                connection.execute(
                    "DELETE FROM records WHERE key BETWEEN ? AND ?", (first, first + _SPAN - 1)
                )
                connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        if chosen:
            with closing(self._connect()) as connection:
                connection.execute("VACUUM")
        return tuple(chosen)

    def cut(self, run_id: str) -> int:
        """Drop a damaged record and all behind it, so that the run can go on from what is sound; how many are left."""
        self._require(run_id)
        with self._locked(run_id), self._open() as connection:
            records, damage = read_records(connection, run_id)
            if damage:
                first = _first_key(connection, run_id)
                connection.execute(
                    "DELETE FROM records WHERE key BETWEEN ? AND ?",
                    (first + len(records) + 1, first + _SPAN - 1),
                )
            return len(records)

    def _require(self, run_id: str) -> float:
        """When the run began. Raises RunNotFound."""
        row = None
        if self.path.exists() and _RUN_ID.fullmatch(run_id):
            with self._reading() as connection:
                row = connection.execute("SELECT created_s FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise RunNotFound(f"no run {run_id!r} in {self.path}", fix="list them: tea runs list")
        return row[0]

    def _summary(self, connection: sqlite3.Connection, run_id: str, created_s: float) -> RunSummary:
        first = _first_key(connection, run_id)
        count, size, last = connection.execute(
            "SELECT count(*), coalesce(sum(length(data)), 0), max(key) FROM records WHERE key BETWEEN ? AND ?",
            (first, first + _SPAN - 1),
        ).fetchone()
        head = _one(connection, first + 1)
        end = _one(connection, last or 0)
        status: Status = end.get("status", "stopped") if end.get("kind") == "end" else "stopped"
        if self._lock(run_id).is_held():
            status = "running"
        updated_s = float(end.get("at_s", 0.0) or head.get("at_s", 0.0) or created_s)
        workflow = str(head.get("workflow", {}).get("name", ""))
        return RunSummary(run_id, workflow, status, created_s, updated_s, count, size)

    def _connect(self, sync: Sync | None = None) -> sqlite3.Connection:
        return open_database(self.path, _SCHEMA, _VERSION, sync=sync or self._sync)

    def _lock(self, run_id: str) -> FileLock:
        return FileLock(self.path.with_name(f"{self.path.name}.locks") / f"{run_id}.lock")

    def _locked(self, run_id: str) -> FileLock:
        lock = self._lock(run_id)
        try:
            lock.path.parent.mkdir(parents=True, exist_ok=True)
            held = lock.acquire()
        except OSError as error:
            raise RunError(
                f"runs can't be kept in this folder: {error.strerror}",
                place=str(self.path.parent),
                fix="set TEA_DATA_DIR to one that can be written, or keep no log (--no-log)",
            ) from error
        if not held:
            raise RunBusy(
                f"another process is driving run {run_id!r}", fix="wait for it, or stop that process"
            )
        return lock

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        """A connection that is only read from; works where nothing can be written too."""
        if is_writable(self.path):
            with self._open() as connection:
                yield connection
        else:
            with opened_read_only(self.path, _VERSION) as connection:
                yield connection

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        """A connection with a transaction around it."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def check_run_id(run_id: str) -> None:
    """Raises UsageError for a name that can't be a run's."""
    if not _RUN_ID.fullmatch(run_id) or set(run_id) == {"."}:
        raise UsageError(
            f"{run_id!r} can't name a run", fix="use 1 to 64 letters, digits, dots, dashes and underscores"
        )


def read_records(connection: sqlite3.Connection, run_id: str) -> tuple[list[JsonObject], str]:
    """The sound records of a run, and what is wrong with the one behind them ("" where nothing is)."""
    records: list[JsonObject] = []
    try:
        first = _first_key(connection, run_id)
        rows = connection.execute(
            "SELECT key, data, checksum FROM records WHERE key BETWEEN ? AND ? ORDER BY key",
            (first, first + _SPAN - 1),
        )
        for key, data, checksum in rows:
            number = len(records) + 1
            if key != first + number:
                return records, f"record {number} is missing"
            if not isinstance(data, bytes) or _checksum(run_id, number, data) != checksum:
                return records, "its checksum doesn't match: it was changed after it was written"
            records.append(json.loads(data.decode("utf-8", "surrogatepass")))
    except sqlite3.DatabaseError as error:
        return records, f"the file is damaged: {error}"
    except ValueError as error:
        return records, f"it is no JSON: {error}"
    return records, ""


def check_sound(store: Path, run_id: str, sound: int, damage: str) -> None:
    """Raises RunLogCorrupt with the place of the damage, if there is any behind the ``sound`` first records."""
    if damage:
        raise RunLogCorrupt(
            damage,
            place=f"{store}: run {run_id}: record {sound + 1}",
            fix=f"the {sound} records before it are sound; RunStore.cut keeps them",
        )


def _checksum(run_id: str, number: int, data: bytes) -> int:
    return crc32(data, crc32(f"{run_id}:{number}:".encode()))


def _first_key(connection: sqlite3.Connection, run_id: str) -> int:
    """The key before the run's first record."""
    row = connection.execute("SELECT key FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise RunNotFound(f"no run {run_id!r}", fix="list them: tea runs list")
    return row[0] * _SPAN


def _one(connection: sqlite3.Connection, key: int) -> dict[str, Any]:
    """A record for the list; an empty one where it is absent or damaged."""
    row = connection.execute("SELECT data FROM records WHERE key = ?", (key,)).fetchone()
    if row is None:
        return {}
    try:
        value = json.loads(bytes(row[0]).decode("utf-8", "surrogatepass"))
    except (ValueError, TypeError):
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _with_damage(summary: RunSummary, damage: str) -> RunSummary:
    return RunSummary(
        summary.run_id,
        summary.workflow,
        summary.status,
        summary.created_s,
        summary.updated_s,
        summary.records,
        summary.size_bytes,
        damage,
    )
