"""What each kind of node does once it is its turn: call an action, run code, loop, fan out, hold a subgraph.

Each function is one body kind. Containers run what they hold through the driver they are handed, at addresses below
their own. This module knows nothing of retries, commits or routes.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from the_edge_agent.engine import address as addresses
from the_edge_agent.engine.calling import call_action
from the_edge_agent.engine.events import BranchFinished, BranchStarted, LoopFinished, LoopIteration
from the_edge_agent.engine.own import adopt
from the_edge_agent.engine.question import Interruption
from the_edge_agent.engine.records import digest_of
from the_edge_agent.engine.together import run_together
from the_edge_agent.engine.turn import Outcome, Turn
from the_edge_agent.errors import NodeFailed, PermissionDenied, ReplayDiverged
from the_edge_agent.workflow.nodes import (
    ActionCall,
    DynamicParallel,
    Empty,
    ExpressionBody,
    InlineCode,
    Steps,
    Subgraph,
    WhileLoop,
)

if TYPE_CHECKING:
    from the_edge_agent.engine.driver import Driver

_NOTHING = Outcome()
Body: TypeAlias = "Callable[[Driver, Turn, Any], Awaitable[Outcome]]"


async def perform(driver: Driver, turn: Turn) -> Outcome:
    """Do what the node's body says."""
    body = turn.prepared.node.body
    return await _BODIES[type(body)](driver, turn, body)


async def _code(driver: Driver, turn: Turn, body: InlineCode) -> Outcome:
    code = driver.session.ports.code
    if code is None:
        raise PermissionDenied(
            "this run may not run inline code", fix="allow it: --allow-code, or allow_code=True"
        )
    value = await code.run(body.source, turn.line.state, place=turn.prepared.place)
    return Outcome(value)


async def _expression(_driver: Driver, turn: Turn, body: ExpressionBody) -> Outcome:
    return Outcome(body.value.evaluate(turn.scope))


async def _empty(_driver: Driver, _turn: Turn, _body: Empty) -> Outcome:
    return _NOTHING


async def _steps(driver: Driver, turn: Turn, body: Steps) -> Outcome:
    return Outcome(await driver.steps(turn.line, body.steps, turn.inside, want=turn.wants_inside))


async def _while_loop(driver: Driver, turn: Turn, body: WhileLoop) -> Outcome:
    session, line, name = driver.session, turn.line, turn.prepared.name
    recorded: int | None = turn.record.get("turns", 0) if turn.record is not None else None
    turns = 0
    value: Any = None
    while turns < body.max_iterations if recorded is None else turns < recorded:
        if recorded is None and not body.condition.holds(driver.scope(line, name, turn.address)):
            break
        turns += 1
        session.emit(LoopIteration(session.run_id, session.clock.now_s(), name, turn.address, turns))
        value = await driver.steps(
            line, body.body, addresses.turn(turn.inside, turns), want=turn.wants_inside
        )
    exhausted = turns == body.max_iterations
    session.emit(LoopFinished(session.run_id, session.clock.now_s(), name, turn.address, turns, exhausted))
    return Outcome(value, turns=turns)


async def _dynamic_parallel(driver: Driver, turn: Turn, body: DynamicParallel) -> Outcome:
    session, line, name = driver.session, turn.line, turn.prepared.name
    items = _items(driver, turn, body)
    values: list[Any] = [None] * len(items)
    inside = turn.inside

    async def one(index: int) -> None:
        prefix = addresses.item(inside, index)
        session.emit(BranchStarted(session.run_id, session.clock.now_s(), name, prefix, index))
        ok = False
        try:
            own = line.item(prefix, {body.item_var: items[index], body.index_var: index})
            values[index] = await driver.steps(own, body.body, prefix, want=True)
            ok = True
        finally:
            session.emit(BranchFinished(session.run_id, session.clock.now_s(), name, prefix, index, ok))

    failures = await run_together(
        len(items),
        one,
        limit=body.max_concurrency or line.frame.settings.max_concurrency,
        fail_fast=body.fail_fast and not session.replaying,
        held=Interruption,
    )
    if failures:
        raise worst(failures)
    return Outcome(values)


def _items(driver: Driver, turn: Turn, body: DynamicParallel) -> list[Any]:
    """The items, checked against those the log knows: other items would get the results of these."""
    session = driver.session
    found = body.items.evaluate(turn.scope)
    if not isinstance(found, list | tuple):
        raise NodeFailed(
            f"items is {'null' if found is None else type(found).__name__}, and must be a list",
            fix=f"check the expression {body.items.text!r}",
        )
    items: list[Any] = adopt(session.clean(found), path="items")
    if not session.logging and not session.replaying:
        return items
    key = turn.inside
    digest = digest_of(json.dumps(items))
    known = session.history.items.get(key)
    if known is None:
        session.history.items[key] = record = {
            "kind": "items",
            "at": key,
            "count": len(items),
            "digest": digest,
        }
        session.write(record)
    elif (known["count"], known["digest"]) != (len(items), digest):
        raise ReplayDiverged(
            f"the items are not those the run began with ({known['count']} then, {len(items)} now)",
            fix="an expression that gives other items at each look can't be resumed; put them into the state first",
        )
    return items


async def _subgraph(driver: Driver, turn: Turn, body: Subgraph) -> Outcome:
    session, key = driver.session, turn.inside
    given: Any = session.history.inputs.get(key)
    if given is None:
        given = session.clean(body.input.render(turn.scope))
        if not isinstance(given, Mapping):
            raise NodeFailed("the subgraph's input is no object", fix="give names and values under input")
        # Kept, because rendering it again may need secrets, which no log holds.
        session.write({"kind": "input", "at": key, "input": adopt(given, path="input")})
    return Outcome(
        await driver.subgraph(turn.line, body.workflow, cast(Mapping[str, Any], given), turn.inside)
    )


def worst(failures: Mapping[int, BaseException]) -> BaseException:
    """What ends the node when several branches ended early: a failure before a question, in branch order.

    In a replay, branches that were cancelled aren't in the log; they aren't the reason.
    """

    def rank(index: int) -> tuple[int, int]:
        error = failures[index]
        if isinstance(error, Interruption):
            return 1, index
        return (2, index) if isinstance(error, ReplayDiverged) else (0, index)

    return failures[min(failures, key=rank)]


_BODIES: Mapping[type, Body] = {
    ActionCall: call_action,
    InlineCode: _code,
    ExpressionBody: _expression,
    Empty: _empty,
    Steps: _steps,
    WhileLoop: _while_loop,
    DynamicParallel: _dynamic_parallel,
    Subgraph: _subgraph,
}
