"""Calls an action: its parameters rendered and checked, its context, its seed, its questions.

Knows nothing of retries, commits or routes, or of what any one action does.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from the_edge_agent.engine.action import ActionContext
from the_edge_agent.engine.own import adopt
from the_edge_agent.engine.params import checked_params
from the_edge_agent.engine.question import Interruption
from the_edge_agent.engine.records import digest_of
from the_edge_agent.engine.turn import Outcome, Turn
from the_edge_agent.inference import JsonObject, JsonValue
from the_edge_agent.workflow.nodes import ActionCall

if TYPE_CHECKING:
    from the_edge_agent.engine.driver import Driver


async def call_action(driver: Driver, turn: Turn, body: ActionCall) -> Outcome:
    """What the action of ``turn`` gives. Raises what it raises; a question of its tasks comes out as it is."""
    call = turn.prepared.call
    assert call is not None, body.uses
    session, prepared, address, line = driver.session, turn.prepared, turn.address, turn.line
    frame = line.frame
    context = ActionContext(
        session.run_id,
        prepared.name,
        address,
        prepared.place,
        frame.settings,
        frame.permissions,
        session.ports,
        session.backends,
        partial(session.token, prepared.name, address),
        partial(_ask, driver, turn),
        turn.report,
        turn.scope,
        frame.base_dir,
        prepared.node.timeout_s,
        prepared.stream,
        session.actions,
        _derived_seed(session.seed, address),
        frame.workflow.name,
    )
    try:
        return Outcome(await call.action(rendered_params(turn), context))
    except BaseExceptionGroup as group:
        # An action that asks from several tasks of its own: a task group wraps the question.
        asked = group.subgroup(Interruption)
        if asked is None:
            raise
        raise _innermost(asked) from None


def _innermost(error: BaseException) -> BaseException:
    """The first plain exception in a group of them."""
    while inside := getattr(error, "exceptions", None):
        error = inside[0]
    return error


def rendered_params(turn: Turn) -> dict[str, Any]:
    """The parameters of an action call. Raises TemplateError, ActionParamsInvalid."""
    call = turn.prepared.call
    assert call is not None
    rendered: Any = call.tree.render(turn.scope)
    params: dict[str, Any] = {**rendered, **call.raw}
    if call.signature is not None:
        params = checked_params(call.signature, params)
    # An action of the caller's may change what it is handed, and that may be the state itself.
    return params if call.trusted else adopt(params)


def _derived_seed(seed: int | None, address: str) -> int | None:
    """An execution's own seed: the run's, mixed with the address, so that loops and branches draw apart."""
    return None if seed is None else int(digest_of(f"{seed}:{address}")[:8], 16)


async def _ask(driver: Driver, turn: Turn, question: JsonObject) -> JsonValue:
    """A question of an action. The time a person takes doesn't count against the node's timeout_s."""
    turn.questions += 1
    loop = asyncio.get_running_loop()
    left = [
        (deadline, ends_s - loop.time()) for deadline in turn.line.deadlines if (ends_s := deadline.when())
    ]
    for deadline, _ in left:
        deadline.reschedule(None)
    try:
        return await driver.session.ask(turn.prepared.name, turn.address, turn.questions, question)
    finally:
        for deadline, left_s in left:
            if not deadline.expired():
                deadline.reschedule(loop.time() + left_s)
