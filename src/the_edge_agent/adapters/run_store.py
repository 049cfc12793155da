"""Runs kept in one SQLite file: a store of append-only logs.

WAL with synchronous NORMAL survives kill -9, FULL survives power loss as well. One process drives a run at a time: a lock
beside the store is held as long as the log is open, and dies with its process.

The store knows a log's first and last records as far as a list of runs needs; what the others mean is the engine's
business, and how a record is kept that of ``sqlite_records``.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from the_edge_agent.adapters.file_lock import FileLock
from the_edge_agent.adapters.sqlite_file import Sync, is_writable, open_database, opened_read_only
from the_edge_agent.adapters.sqlite_log import SqliteRunLog
from the_edge_agent.adapters.sqlite_records import (
    SCHEMA,
    SPAN,
    VERSION,
    check_sound,
    first_key,
    read_records,
    record_at,
)
from the_edge_agent.engine.records import History, Status, read_history
from the_edge_agent.engine.run_id import new_run_id
from the_edge_agent.errors import RunBusy, RunError, RunIdTaken, RunNotFound, UsageError
from the_edge_agent.inference import JsonObject

_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


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
            summary = replace(summary, damage=f"record {len(records) + 1}: {damage}")
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
                first = first_key(connection, run_id)
                connection.execute("DELETE FROM records WHERE key BETWEEN ? AND ?", (first, first + SPAN - 1))
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
                first = first_key(connection, run_id)
                connection.execute(
                    "DELETE FROM records WHERE key BETWEEN ? AND ?",
                    (first + len(records) + 1, first + SPAN - 1),
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
        first = first_key(connection, run_id)
        count, size, last = connection.execute(
            "SELECT count(*), coalesce(sum(length(data)), 0), max(key) FROM records WHERE key BETWEEN ? AND ?",
            (first, first + SPAN - 1),
        ).fetchone()
        head = record_at(connection, first + 1)
        end = record_at(connection, last or 0)
        status: Status = end.get("status", "stopped") if end.get("kind") == "end" else "stopped"
        if self._lock(run_id).is_held():
            status = "running"
        updated_s = float(end.get("at_s", 0.0) or head.get("at_s", 0.0) or created_s)
        workflow = str(head.get("workflow", {}).get("name", ""))
        return RunSummary(run_id, workflow, status, created_s, updated_s, count, size)

    def _connect(self, sync: Sync | None = None) -> sqlite3.Connection:
        return open_database(self.path, SCHEMA, VERSION, sync=sync or self._sync)

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
            with opened_read_only(self.path, VERSION) as connection:
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
