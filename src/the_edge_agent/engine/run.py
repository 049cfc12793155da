"""Runs, resumes and replays a workflow as a stream of events: ``async for event in run(workflow, input)``.

The stream ends with exactly one of ``finished``, ``failed`` and ``interrupted``. What keeps a run from beginning at all
(input that breaks its schema, a workflow whose actions aren't there) is raised before the first event, and nothing is
logged. Closing the stream early cancels the run; its log can be resumed. This module knows nothing of stores, model
backends or terminals: they are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from the_edge_agent.engine.action import Actions
from the_edge_agent.engine.cache import MemoryCache
from the_edge_agent.engine.clock import SystemClock
from the_edge_agent.engine.driver import Driver
from the_edge_agent.engine.ending import Ending
from the_edge_agent.engine.events import Event, RunStarted
from the_edge_agent.engine.failure import translate
from the_edge_agent.engine.feed import Feed
from the_edge_agent.engine.frame import Frame
from the_edge_agent.engine.line import Line
from the_edge_agent.engine.named_backends import NamedBackends
from the_edge_agent.engine.ports import BackendResolver, Ports
from the_edge_agent.engine.question import Interruption, check_answer
from the_edge_agent.engine.records import History, read_history, run_record
from the_edge_agent.engine.run_id import new_run_id
from the_edge_agent.engine.run_log import RunLog
from the_edge_agent.engine.session import Asker, Session
from the_edge_agent.engine.start import start_state
from the_edge_agent.errors import EdgeAgentError, RunIdTaken, UsageError
from the_edge_agent.inference import Backend, JsonObject, JsonValue
from the_edge_agent.workflow.nodes import Permissions, Workflow

#: What a caller may hand over as backends: one to be chosen by name, or whoever chooses.
Backends = Mapping[str, Backend] | BackendResolver


async def run(
    workflow: Workflow,
    input: JsonObject | None = None,  # noqa: A002 - the word of the language
    *,
    actions: Actions,
    backends: Backends | None = None,
    ports: Ports | None = None,
    log: RunLog | None = None,
    run_id: str | None = None,
    permissions: Permissions | None = None,
    answers: Mapping[str, JsonValue] | None = None,
    seed: int | None = None,
    variables: JsonObject | None = None,
    ask: Asker | None = None,
) -> AsyncGenerator[Event]:
    """Run ``workflow`` on ``input``.

    ``actions``: by name. ``backends``: by name, or a resolver. ``log``: an empty one, where the run is kept.
    ``permissions``: the caller's leave (None: no network, the run's folder only). ``answers``: to questions, by address.
    ``ask``: shows a question to a person; without it a question stops the run. ``variables`` win over the file's.

    Raises InputInvalid, RunIdTaken, UsageError before the first event; the failed run's own error only where the file
    says ``config.raise_exceptions``.
    """
    given: JsonObject = input or {}
    chosen = log.run_id if log is not None else run_id or new_run_id()
    ports = ports or Ports()
    clock = ports.clock or SystemClock()
    history = History()
    session = _session(
        chosen,
        log,
        history,
        actions=actions,
        ports=ports,
        backends=backends,
        asker=ask,
        answers=answers,
        seed=seed,
    )
    if log is not None and log.records():
        raise RunIdTaken(f"a run {chosen!r} exists", fix=f"go on with it: tea resume {chosen}")
    cleaned = session.clean(given)
    named = session.clean(variables or {})
    line = _main_line(workflow, session, cleaned, permissions=permissions, variables=named)
    session.write(run_record(workflow, given=cleaned, variables=named, seed=seed, at_s=clock.now_s()))
    async with aclosing(_stream(session, line, RunStarted(chosen, clock.now_s(), workflow.name))) as events:
        async for event in events:
            yield event


async def resume(
    workflow: Workflow,
    log: RunLog,
    *,
    actions: Actions,
    backends: Backends | None = None,
    ports: Ports | None = None,
    permissions: Permissions | None = None,
    answer: JsonValue = None,
    answers: Mapping[str, JsonValue] | None = None,
    ask: Asker | None = None,
    notices: tuple[str, ...] = (),
) -> AsyncGenerator[Event]:
    """Go on with a logged run. ``workflow`` is the one in the log (``history.logged_workflow``).

    ``answer`` answers the question the run stopped with, ``answers`` questions by address. What is committed isn't run again.
    Raises InputInvalid for an answer that doesn't fit, UsageError for one that nobody asked for.
    """
    history = read_history(log.records())
    seed: int | None = history.head["seed"]
    ports = ports or Ports()
    session = _session(
        log.run_id,
        log,
        history,
        actions=actions,
        ports=ports,
        backends=backends,
        asker=ask,
        seed=seed,
    )
    fitting = _fitting_answers(history, answer, answers or {})
    head = history.head
    line = _main_line(workflow, session, head["input"], permissions=permissions, variables=head["variables"])
    if history.status == "finished":
        session.logging = False  # told once more; there is nothing to add
    session.write({"kind": "resume", "at_s": session.clock.now_s()})
    for at, value in fitting.items():
        session.answer(at, value)
    started = RunStarted(log.run_id, session.clock.now_s(), workflow.name, resumed=True, notices=notices)
    async with aclosing(_stream(session, line, started)) as events:
        async for event in events:
            yield event


async def replay(
    workflow: Workflow, log: RunLog, *, actions: Actions, ports: Ports | None = None
) -> AsyncGenerator[Event]:
    """Repeat a logged run from its log alone: no action runs, no backend is asked, nothing is written.

    The stream ends as the run did; where the log has no result the replay fails with ReplayDiverged.
    """
    history = read_history(log.records())
    head = history.head
    session = _session(
        log.run_id,
        log,
        history,
        actions=actions,
        ports=replace(ports or Ports(), http=None, files=None, memory=None, mcp=None, code=None),
        seed=head["seed"],
        replaying=True,
    )
    line = _main_line(workflow, session, head["input"], permissions=None, variables=head["variables"])
    started = RunStarted(
        log.run_id, session.clock.now_s(), workflow.name, resumed=True, notices=("replayed",)
    )
    async with aclosing(_stream(session, line, started)) as events:
        async for event in events:
            yield event


def _session(
    run_id: str,
    log: RunLog | None,
    history: History,
    *,
    actions: Actions,
    ports: Ports,
    seed: int | None,
    backends: Backends | None = None,
    asker: Asker | None = None,
    answers: Mapping[str, JsonValue] | None = None,
    replaying: bool = False,
) -> Session:
    return Session(
        run_id,
        Feed(),
        log=log,
        history=history,
        replaying=replaying,
        actions=actions,
        ports=ports,
        backends=NamedBackends(backends) if isinstance(backends, Mapping) else backends,
        cache=ports.cache or MemoryCache(),
        clock=ports.clock or SystemClock(),
        asker=asker,
        answers=answers or {},
        seed=seed,
    )


def _main_line(
    workflow: Workflow,
    session: Session,
    given: Mapping[str, Any],
    *,
    permissions: Permissions | None,
    variables: JsonObject,
) -> Line:
    state = start_state(workflow, given)
    frame = Frame(workflow, session.actions, permissions=permissions or Permissions(), variables=variables)
    return Line(frame, state)


def _fitting_answers(
    history: History, answer: JsonValue, answers: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """The answers by address, checked. An approval without an answer means: go on."""
    waiting = history.open_questions
    found: dict[str, JsonValue] = {}
    for at, value in answers.items():
        if at not in waiting:
            raise UsageError(f"nobody asked at {at!r}", fix=f"open questions: {', '.join(waiting) or 'none'}")
        found[at] = check_answer(waiting[at], value)
    rest = [at for at in waiting if at not in found]
    shown = str((history.end or {}).get("question", {}).get("address", ""))
    rest.sort(key=lambda at: at != shown)  # what the run stopped with is what the answer is to
    if answer is not None:
        if not rest:
            raise UsageError("there is an answer but no open question", fix="resume without an answer")
        found[rest[0]] = check_answer(waiting[rest[0]], answer)
    elif rest and waiting[rest[0]].get("kind") == "approve" and not found:
        found[rest[0]] = check_answer(waiting[rest[0]], True)
    return found


async def _stream(session: Session, line: Line, started: RunStarted) -> AsyncGenerator[Event]:
    """Every event of the run; the driver works in a task of its own."""
    task = asyncio.create_task(_drive(session, line, started))
    try:
        async for event in session.feed.events():
            yield event
        error = await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    if error is not None and line.frame.workflow.config.raise_exceptions:
        raise error


async def _drive(session: Session, line: Line, started: RunStarted) -> EdgeAgentError | None:
    """Walk the main line and tell how that ended; the error it failed with, if it did."""
    ending = Ending(session, line, session.clock.now_s())
    try:
        session.emit(started)
        driver = Driver(session)
        try:
            await driver.walk(line, driver.begin(line))
            ending.finish()
        except Interruption as interruption:
            ending.interrupt(interruption.question)
        except Exception as raised:  # noqa: BLE001 - every failure becomes the run's last event
            error = translate(raised, node=line.address, place="")
            ending.fail(error)
            return error
        return None
    finally:
        session.feed.close()


__all__ = ["Backends", "NamedBackends", "new_run_id", "replay", "resume", "run"]
