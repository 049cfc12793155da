"""Nodes with ``cache``: an outcome that is kept for a while, beyond the run where the store can."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from the_edge_agent.engine.calling import rendered_params
from the_edge_agent.engine.execution import within_time
from the_edge_agent.engine.own import adopt
from the_edge_agent.engine.turn import Outcome, Turn

if TYPE_CHECKING:
    from the_edge_agent.engine.driver import Driver


async def cached(driver: Driver, turn: Turn, ttl_s: float) -> Outcome:
    """The body's outcome, taken from the cache or put there for ``ttl_s``; of a container also what it changed."""
    session, line = driver.session, turn.line
    key = cache_key(turn)
    now_s = session.clock.now_s()
    hit = await session.cache.get(key, now_s=now_s)
    if hit is not None and isinstance(hit.value, Mapping):
        turn.report.notices.append("taken from the cache")
        changes = hit.value.get("changes")
        return Outcome(
            hit.value.get("value"), cached=True, changes=changes if isinstance(changes, Mapping) else {}
        )
    before = line.state
    outcome = await within_time(driver, turn, turn.prepared.node.timeout_s)
    value = adopt(session.clean(outcome.value))
    changed = {name: entry for name, entry in line.state.items() if entry is not before.get(name)}
    await session.cache.put(key, {"value": value, "changes": changed}, expires_s=now_s + ttl_s)
    return outcome


def cache_key(turn: Turn) -> str:
    """What the outcome depends on: the file, the node, what it may do, and its parameters (else the state)."""
    frame, prepared = turn.line.frame, turn.prepared
    given: Any = rendered_params(turn) if prepared.call else {**turn.line.state, **turn.line.extras}
    leave = frame.permissions
    parts = [
        frame.workflow.digest,
        prepared.name,
        [sorted(leave.net), list(leave.files), leave.code, sorted(leave.tools)],
        given,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
