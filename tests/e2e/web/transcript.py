"""A run's transcript: node order, texts and values, without what no two runs share.

Left out are times, IDs, who answered, how much a cache held, and floats, which only embeddings bring along here. Streamed
pieces are joined, and branches that run at the same time are told one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

_NOT_SHARED = frozenset({"at_s", "run_id", "duration_s", "backend", "timings", "cached_tokens", "n_ctx"})


def transcript(events: Iterable[Mapping[str, Any]]) -> str:
    """The transcript as text, one event a line."""
    joined: list[dict[str, Any]] = []
    for event in events:
        last = joined[-1] if joined else {}
        if event["type"] == "token" == last.get("type") and event["address"] == last["address"]:
            last["text"] += event["text"]
        else:
            joined.append(dict(event))
    return "\n".join(json.dumps(_shared(event), sort_keys=True) for event in _in_branch_order(joined))


def _in_branch_order(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ordered: list[dict[str, Any]] = []
    branches: list[dict[str, Any]] = []
    for event in events:
        if "/[" in event.get("address", ""):
            branches.append(event)
            continue
        ordered += sorted(branches, key=_branch)
        branches.clear()
        ordered.append(event)
    return ordered + sorted(branches, key=_branch)


def _branch(event: Mapping[str, Any]) -> tuple[str, int]:
    container, _, rest = event["address"].partition("/[")
    return container, int(rest.partition("]")[0])


def _shared(value: Any) -> Any:
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        return {key: _shared(entry) for key, entry in named.items() if key not in _NOT_SHARED}
    if isinstance(value, list | tuple):
        return [_shared(entry) for entry in cast("Sequence[Any]", value)]
    return "a float" if isinstance(value, float) else value
