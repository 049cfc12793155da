"""Takes a committed execution from the log: its change of the state, its value, its move. Nothing runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from the_edge_agent.engine.commit import output_value, retake, take, written_by
from the_edge_agent.engine.events import NodeFinished
from the_edge_agent.engine.failure import error_from_json
from the_edge_agent.engine.frame import Prepared
from the_edge_agent.engine.plan import Move
from the_edge_agent.engine.question import Interruption
from the_edge_agent.engine.records import History, Record
from the_edge_agent.engine.turn import SKIPPED, Turn
from the_edge_agent.errors import ReplayDiverged

if TYPE_CHECKING:
    from the_edge_agent.engine.driver import Driver


async def recall(driver: Driver, turn: Turn, record: Record) -> tuple[Any, Move | None]:
    """The execution as it was committed. A container walks through its children, all of them committed too."""
    session, line, prepared = driver.session, turn.line, turn.prepared
    skipped, error = "skip" in record, record.get("error")
    rest: Any = record.get("value")
    if not (prepared.leaf or skipped or error or "cached" in record):
        turn.record = record
        rest = session.clean((await driver.perform(turn)).value)
        turn.scope["state"] = line.state
    if "derived" in record:
        updates, puts = take(line, written_by(prepared, rest, turn.scope), None)
    else:
        updates, puts = retake(line, record), record.get("put", {})
    on_error = prepared.node.on_error
    if error and on_error is not None and on_error.goto is not None:
        line.extras = {**line.extras, "error": error}
    session.emit(
        NodeFinished(
            session.run_id,
            session.clock.now_s(),
            prepared.name,
            turn.address,
            updates,
            from_log=True,
            skipped=skipped,
            usage=record.get("usage", {}),
        )
    )
    move = line.frame.plan.decode(record["to"], line.fan_in) if turn.routed else None
    if skipped:
        return SKIPPED, move
    return (output_value(prepared, updates, puts, rest) if turn.want else None), move


def check_replay(history: History, prepared: Prepared, address: str) -> None:
    """In a replay, what isn't committed can only have failed, have asked, or hold what is.

    Raises the error the log tells of, Interruption with its question, or ReplayDiverged.
    """
    failure = history.failures.get(address)
    if failure is not None:
        raise error_from_json(failure)
    if not prepared.leaf:
        return
    for at, question in history.open_questions.items():
        if at.startswith(f"{address}?"):
            raise Interruption(question)
    raise ReplayDiverged(
        f"the log holds no result of {address!r}: the run got no further",
        place=prepared.place,
        fix="go on with it: tea resume",
    )
