"""Compares two runs by their logs and says where they part. Pure; knows nothing of stores or terminals.

Executions are compared by address, in the order of the first run; what ran at the same time may stand in another order
in the second log without being a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from the_edge_agent.engine.delta import same
from the_edge_agent.engine.records import History, Record, read_history
from the_edge_agent.inference import JsonObject, JsonValue

Kind: TypeAlias = Literal[
    "workflow", "input", "variables", "seed", "result", "route", "missing", "extra", "end"
]
#: What of a commit is the node's result.
_RESULT = ("set", "put", "value", "skip", "error", "turns")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which they differ. ``missing`` executions are only in the first run, ``extra`` ones only in the second.

    ``a`` and ``b`` are what each run has there, None where it has nothing.
    """

    kind: Kind
    at: str
    a: JsonValue
    b: JsonValue

    def to_json(self) -> dict[str, JsonValue]:
        """{kind, at, a, b}."""
        return {"kind": self.kind, "at": self.at, "a": self.a, "b": self.b}


@dataclass(frozen=True, slots=True)
class RunDiff:
    """``differences`` in the order of the runs: the first is where they part. ``common`` executions came out alike."""

    differences: tuple[Difference, ...]
    common: int

    @property
    def first(self) -> Difference | None:
        """Where they part; None where they don't."""
        return self.differences[0] if self.differences else None


def diff_runs(a: Iterable[JsonObject], b: Iterable[JsonObject]) -> RunDiff:
    """Compare the records of two runs. Raises RunLogCorrupt where one is no log."""
    first, second = read_history(a), read_history(b)
    found = list(_heads(first, second))
    common = 0
    for at, record in first.nodes.items():
        other = second.nodes.get(at)
        if other is None:
            found.append(Difference("missing", at, _result(record), None))
            continue
        differing = _nodes(at, record, other)
        found += differing
        common += not differing
    found += [
        Difference("extra", at, None, _result(record))
        for at, record in second.nodes.items()
        if at not in first.nodes
    ]
    end_a, end_b = _end(first), _end(second)
    if not same(end_a, end_b):
        found.append(Difference("end", "", end_a, end_b))
    return RunDiff(tuple(found), common)


def _heads(a: History, b: History) -> Iterable[Difference]:
    pairs: tuple[tuple[Kind, Any, Any], ...] = (
        ("workflow", a.head["workflow"]["digest"], b.head["workflow"]["digest"]),
        ("input", a.head["input"], b.head["input"]),
        ("variables", a.head["variables"], b.head["variables"]),
        ("seed", a.head["seed"], b.head["seed"]),
    )
    return (Difference(kind, "", x, y) for kind, x, y in pairs if not same(x, y))


def _nodes(at: str, a: Record, b: Record) -> list[Difference]:
    found: list[Difference] = []
    result_a, result_b = _result(a), _result(b)
    if not same(result_a, result_b):
        found.append(Difference("result", at, result_a, result_b))
    if not same(a.get("to"), b.get("to")):
        found.append(Difference("route", at, a.get("to"), b.get("to")))
    return found


def _result(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in _RESULT if name in record}


def _end(history: History) -> dict[str, Any]:
    end = history.end or {}
    error: Any = end.get("error")
    return {"status": history.status, "error": error["name"] if error else None}
