"""The records of runs as rows of one SQLite file: their keys, checksums and what is wrong with a damaged one.

A record is one row: its JSON as UTF-8 (lone surrogates included), and a checksum over the run, its number and the
text. JSON only: nothing in a store can make a reader execute anything. Knows nothing of locks, of who writes, or of what
a record means.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, cast
from zlib import crc32

from the_edge_agent.errors import RunLogCorrupt, RunNotFound
from the_edge_agent.inference import JsonObject

#: The store's own format, in user_version.
VERSION = 1
#: A record's key is its run's key times this plus its number: one tree, no index, new rows at the end.
SPAN = 1 << 32
SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS records (key INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL);
"""
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def read_records(connection: sqlite3.Connection, run_id: str) -> tuple[list[JsonObject], str]:
    """The sound records of a run, and what is wrong with the one behind them ("" where nothing is)."""
    records: list[JsonObject] = []
    try:
        first = first_key(connection, run_id)
        rows = connection.execute(
            "SELECT key, data, checksum FROM records WHERE key BETWEEN ? AND ? ORDER BY key",
            (first, first + SPAN - 1),
        )
        for key, data, checksum in rows:
            number = len(records) + 1
            if key != first + number:
                return records, f"record {number} is missing"
            if not isinstance(data, bytes) or checksum_of(run_id, number, data) != checksum:
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


def checksum_of(run_id: str, number: int, data: bytes) -> int:
    """Over the run and the number too, so that a row can't stand in for another."""
    return crc32(data, crc32(f"{run_id}:{number}:".encode()))


def first_key(connection: sqlite3.Connection, run_id: str) -> int:
    """The key before the run's first record."""
    row = connection.execute("SELECT key FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise RunNotFound(f"no run {run_id!r}", fix="list them: tea runs list")
    return row[0] * SPAN


def record_at(connection: sqlite3.Connection, key: int) -> dict[str, Any]:
    """A record for the list; an empty one where it is absent or damaged."""
    row = connection.execute("SELECT data FROM records WHERE key = ?", (key,)).fetchone()
    if row is None:
        return {}
    try:
        value = json.loads(bytes(row[0]).decode("utf-8", "surrogatepass"))
    except (ValueError, TypeError):
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
