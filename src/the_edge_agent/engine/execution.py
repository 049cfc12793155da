"""One execution of a node from its start to its commit: attempts, the change of the state, the decision, the record.

The output is committed before anything that follows starts. This module knows nothing of lines of nodes, and of what a
body does only its outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from the_edge_agent.engine.commit import output_value, take, written_by
from the_edge_agent.engine.events import NodeErrorHandled, NodeFinished, NodeRetried, NodeStarted
from the_edge_agent.engine.failure import error_json, retry_wait_s, translate
from the_edge_agent.engine.own import adopt
from the_edge_agent.engine.plan import Move
from the_edge_agent.engine.records import Record, usage_json
from the_edge_agent.engine.turn import SKIPPED, Outcome, Turn
from the_edge_agent.errors import EdgeAgentError, NodeTimeout, ReplayDiverged, RunLogCorrupt
from the_edge_agent.workflow.tree import render_tree

if TYPE_CHECKING:
    from the_edge_agent.engine.driver import Driver

#: These say that the log and the run don't belong together; no on_error may paper over that.
_FATAL = (ReplayDiverged, RunLogCorrupt)


@dataclass(slots=True)
class _Result:
    """What an execution comes to: the state's new values, the output value, and a move that on_error decided."""

    updates: dict[str, Any]
    value: Any = None
    move: Move | None = None


async def run_node(driver: Driver, turn: Turn) -> tuple[Any, Move | None]:
    """Run a node until it is committed; its output value where it is wanted, and the move where it is routed."""
    session, prepared, line = driver.session, turn.prepared, turn.line
    started_s = session.clock.now_s()
    state = line.state
    writes = line.writes.copy() if line.writes is not None and not prepared.leaf else None
    record: Record = {"kind": "node", "at": turn.address}
    while True:
        try:
            when = prepared.node.when
            if when is not None and not when.holds(turn.scope):
                return _skip(driver, turn, record)
            session.emit(
                NodeStarted(session.run_id, session.clock.now_s(), prepared.name, turn.address, turn.number)
            )
            result = _take_outcome(driver, turn, await driver.attempt(turn), record)
            break
        except Exception as raised:  # noqa: BLE001 - whatever a node raises is the node's failure
            error = translate(raised, node=prepared.name, place=prepared.place)
            line.state = state  # a failed attempt leaves no trace
            if writes is not None:
                line.writes = writes.copy()
            record = {"kind": "node", "at": turn.address}
            if await _retried(driver, turn, error):
                turn.scope = driver.scope(line, prepared.name, turn.address)
                continue
            result = _handle(driver, turn, error, record)
            break
    session.end_tokens(prepared.name, turn.address)
    _commit(driver, turn, result, record, started_s)
    return result.value, result.move


def _commit(driver: Driver, turn: Turn, result: _Result, record: Record, started_s: float) -> None:
    """Decide where to go, write the record, tell the event."""
    session, report = driver.session, turn.report
    if turn.routed:
        if result.move is None:
            result.move = _decide(driver, turn)
        record["to"] = result.move.decision
    usage = usage_json(report.usage)
    if usage:
        record["usage"] = usage
        session.usage += report.usage
    session.write(record)
    now_s = session.clock.now_s()
    notices = tuple(session.clean(report.notices)) if report.notices else ()
    session.emit(
        NodeFinished(
            session.run_id,
            now_s,
            turn.prepared.name,
            turn.address,
            result.updates,
            now_s - started_s,
            usage=usage,
            notices=notices,
        )
    )


async def within_time(driver: Driver, turn: Turn, timeout_s: float | None) -> Outcome:
    """The body once. Raises NodeTimeout once ``timeout_s`` has passed."""
    if timeout_s is None:
        return await driver.perform(turn)
    line = turn.line
    outer = line.deadlines
    deadline = asyncio.timeout(timeout_s)
    try:
        async with deadline:
            line.deadlines = (*outer, deadline)
            return await driver.perform(turn)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise NodeTimeout(
            f"it took longer than its timeout_s of {timeout_s:g} s", fix="raise timeout_s, or ask for less"
        ) from None
    finally:
        line.deadlines = outer


def _take_outcome(driver: Driver, turn: Turn, outcome: Outcome, record: Record) -> _Result:
    """Write the outcome into the state and the record."""
    session, prepared, line = driver.session, turn.prepared, turn.line
    turn.scope["state"] = line.state  # what a container holds has moved it on
    value = session.clean(outcome.value)
    kept = record if session.logging else None
    if outcome.cached:
        record["cached"] = True
        take(line, outcome.changes, kept, reducers={})
    # What a container's children did is in their own records: it isn't logged a second time.
    derived = not prepared.leaf and not prepared.node.outputs and not outcome.cached
    written = written_by(prepared, value, turn.scope)
    updates, puts = take(line, written, None if derived else kept)
    if derived and written:
        record["derived"] = True
    if outcome.turns is not None:
        record["turns"] = outcome.turns
    return _Result(updates, _wanted(turn, value, updates, puts, record))


def _wanted(
    turn: Turn, value: Any, updates: Mapping[str, Any], puts: Mapping[str, Any], record: Record
) -> Any:
    """The output value, if somebody asks for it; logged where what the node wrote doesn't tell it."""
    if not turn.want:
        return None
    rest: Any = None
    if not updates:
        rest = adopt(value)
        if turn.prepared.leaf and rest is not None:
            record["value"] = rest
    return output_value(turn.prepared, updates, puts, rest)


def _skip(driver: Driver, turn: Turn, record: Record) -> tuple[Any, Move | None]:
    session = driver.session
    record["skip"] = True
    move = _decide(driver, turn) if turn.routed else None
    if move is not None:
        record["to"] = move.decision
    session.write(record)
    session.emit(
        NodeFinished(session.run_id, session.clock.now_s(), turn.prepared.name, turn.address, skipped=True)
    )
    return SKIPPED, move


def _decide(driver: Driver, turn: Turn) -> Move:
    """The move after the node, by the state as it is now."""
    line, prepared, scope = turn.line, turn.prepared, turn.scope
    scope["state"] = line.state
    try:
        return line.frame.plan.after(prepared.node, lambda condition: condition.holds(scope), line.fan_in)
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is the node's failure
        error = translate(raised, node=prepared.name, place=prepared.place)
        driver.session.write_failure(prepared.name, turn.address, error)
        raise error from raised.__cause__


async def _retried(driver: Driver, turn: Turn, error: EdgeAgentError) -> bool:
    """Whether another attempt is due; waits until then."""
    session, prepared, address = driver.session, turn.prepared, turn.address
    if session.replaying or isinstance(error, _FATAL):
        return False
    wait_s = retry_wait_s(prepared.retry, error, turn.number - turn.used)
    if wait_s is None:
        return False
    if session.redactor:
        session.redactor.error(error)
    now_s = session.clock.now_s()
    session.emit(
        NodeRetried(session.run_id, now_s, prepared.name, address, turn.number, wait_s, error_json(error))
    )
    turn.number += 1
    turn.questions = 0
    session.history.attempts[address] = turn.number
    session.write({"kind": "retry", "at": address, "attempt": turn.number})
    await session.clock.sleep(wait_s)
    return True


def _handle(driver: Driver, turn: Turn, error: EdgeAgentError, record: Record) -> _Result:
    """What ``on_error`` makes of a failure. Raises the error where nothing handles it."""
    session, prepared, line = driver.session, turn.prepared, turn.line
    on_error = prepared.node.on_error
    goes_on = on_error is not None or line.frame.settings.on_error == "continue"
    if session.replaying or isinstance(error, _FATAL) or not goes_on:
        session.write_failure(prepared.name, turn.address, error)
        raise error
    if session.redactor:
        session.redactor.error(error)
    told = error_json(error)
    record["error"] = told
    goto = on_error.goto if on_error else None
    session.emit(
        NodeErrorHandled(session.run_id, session.clock.now_s(), prepared.name, turn.address, goto, told)
    )
    if goto is not None:
        line.extras = {**line.extras, "error": told}
        return _Result({}, None, line.frame.plan.jump(goto, line.fan_in))
    if on_error is None or on_error.fallback is None:
        return _Result({})
    try:
        scope = {**turn.scope, "state": line.state, "error": told}
        value = session.clean(render_tree(on_error.fallback, scope))
        updates, puts = take(line, written_by(prepared, value, scope), record if session.logging else None)
        return _Result(updates, _fallback_value(turn, value, updates, puts, record))
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is the node's failure
        worse = translate(raised, node=prepared.name, place=prepared.place)
        session.write_failure(prepared.name, turn.address, worse)
        raise worse from error


def _fallback_value(
    turn: Turn, value: Any, updates: Mapping[str, Any], puts: Mapping[str, Any], record: Record
) -> Any:
    """Like ``_wanted``; a container's fallback isn't told by its children either."""
    if not turn.want:
        return None
    rest = adopt(value) if not updates else None
    if rest is not None:
        record["value"] = rest
    return output_value(turn.prepared, updates, puts, rest)
