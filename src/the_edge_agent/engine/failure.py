"""What becomes of an exception in a node: its translation, its JSON, and whether another attempt is due. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from the_edge_agent import errors
from the_edge_agent.errors import EdgeAgentError, NodeFailed, Problem, RunError
from the_edge_agent.workflow.nodes import Retry


def translate(error: Exception, *, node: str, place: str) -> EdgeAgentError:
    """The error as one of the tree, with the node's place and name where it had none; a foreign one is chained."""
    if not isinstance(error, EdgeAgentError):
        text = str(error) or "no message"
        failed = NodeFailed(f"node {node!r} failed: {type(error).__name__}: {text}", place=place)
        failed.__cause__ = error
        return failed
    if not error.place and len(error.problems) == 1:
        error.place = place
        error.what = f"node {node!r}: {error.what}"
    return error


def error_json(error: EdgeAgentError) -> dict[str, Any]:
    """{name, what, place, fix}, and ``problems`` where there are many."""
    value: dict[str, Any] = {"name": error.name, "what": error.what, "place": error.place, "fix": error.fix}
    problems = error.problems
    if len(problems) > 1:
        value["problems"] = [
            {"what": entry.what, "place": entry.place, "fix": entry.fix} for entry in problems
        ]
    return value


def error_from_json(value: Mapping[str, Any]) -> EdgeAgentError:
    """The error a log tells of, as its own class where this version knows it."""
    kind = getattr(errors, value["name"], RunError)
    if not (inspect.isclass(kind) and issubclass(kind, EdgeAgentError)):
        kind = RunError
    if "problems" in value or issubclass(kind, errors.WorkflowInvalid | errors.InputInvalid):
        entries = value.get("problems") or [value]
        many: Any = kind
        return many(tuple(Problem(entry["what"], entry["place"], entry["fix"]) for entry in entries))
    return kind(value["what"], place=value["place"], fix=value["fix"])


def matches(error: EdgeAgentError, names: tuple[str, ...]) -> bool:
    """Whether one of the names is the error's class, a class above it, or that of a foreign cause."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, NodeFailed) and error.__cause__ is not None:
        kinds |= {kind.__name__ for kind in type(error.__cause__).__mro__}
    return any(name in kinds for name in names)


def retry_wait_s(retry: Retry, error: EdgeAgentError, attempt: int) -> float | None:
    """Seconds until the next attempt after the ``attempt``-th (from 1) failed; None: there is none.

    A server's Retry-After counts as a minimum. Is it longer than ``max_backoff_s``, the node gives up: asking earlier
    than told would only be refused again.
    """
    if attempt >= retry.max_attempts or (retry.on and not matches(error, retry.on)):
        return None
    wait_s = min(retry.backoff_s * 2.0 ** min(attempt - 1, 60), retry.max_backoff_s)
    asked_s: float | None = getattr(error, "retry_after_s", None)
    if asked_s is None:
        return wait_s
    return None if asked_s > retry.max_backoff_s else max(wait_s, asked_s)
