"""Carries out what the plan decides: walks the lines of a run, forks and joins branches, enters steps and subgraphs.

A chain of nodes runs in one task; only branches and items get tasks of their own, in a TaskGroup. The same code runs a
fresh run, resumes one and replays one: an execution whose address the history knows is recalled and not run. The driver
knows nothing of how a node does its work (``bodies``), of attempts and commits (``execution``), of where records go
(``session``), or of who reads the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from the_edge_agent.engine import address as addresses
from the_edge_agent.engine.bodies import perform, worst
from the_edge_agent.engine.caching import cached
from the_edge_agent.engine.events import BranchFinished, BranchStarted
from the_edge_agent.engine.execution import run_node, within_time
from the_edge_agent.engine.frame import Frame, Prepared
from the_edge_agent.engine.line import Line
from the_edge_agent.engine.merge import BranchResult, merge
from the_edge_agent.engine.plan import FINISH, Fork, Move, Run
from the_edge_agent.engine.question import STOP, Interruption, approval
from the_edge_agent.engine.recall import check_replay, recall
from the_edge_agent.engine.session import Session
from the_edge_agent.engine.start import start_state
from the_edge_agent.engine.together import run_together
from the_edge_agent.engine.turn import SKIPPED, Outcome, Turn
from the_edge_agent.errors import RunError
from the_edge_agent.inference import JsonObject
from the_edge_agent.workflow.input_schema import validate_output
from the_edge_agent.workflow.nodes import Node, Workflow
from the_edge_agent.workflow.reducers import reduce


class Driver:
    """Drives the lines of one run."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._frames: dict[int, Frame] = {}

    def begin(self, line: Line) -> Move:
        """The first move of a line that starts a workflow."""
        scope = self.scope(line, "", line.address)
        return line.frame.plan.begin(lambda condition: condition.holds(scope))

    async def walk(self, line: Line, move: Move) -> Any:
        """Follow moves until the line ends; the output value of its last node."""
        frame = line.frame
        value: Any = None
        while True:
            if isinstance(move, Run):
                prepared = frame.prepared(move.node)
                count = line.visit(prepared.name)
                frame.plan.check_steps(line.path)
                line.address = addresses.visit(line.prefix, prepared.segment, count)
                value, move = await self._visit(line, prepared)
                line.results = None
            elif isinstance(move, Fork):
                move = await self._fork(line, move)
            else:
                return value

    async def _visit(self, line: Line, prepared: Prepared) -> tuple[Any, Move]:
        """One visit of a node on a line, with the approvals before and after it."""
        address = line.address
        if address not in self.session.history.nodes:
            if prepared.ask_before:
                await self._approve(prepared, address, "before")
            if self.session.expecting:
                self.session.expect(line.frame.foresight.ahead(prepared.node, line.fan_in))
        value, move = await self._execute(line, prepared, address, routed=True, want=line.writes is not None)
        if prepared.ask_after:
            await self._approve(prepared, address, "after")
        assert move is not None
        return (None if value is SKIPPED else value), move

    async def steps(self, line: Line, nodes: tuple[Node, ...], prefix: str, *, want: bool) -> Any:
        """Run steps in order on the line; the output value of the last one that wasn't skipped."""
        value: Any = None
        for prepared, segment in line.frame.sequence(nodes):
            got, _ = await self._execute(line, prepared, prefix + segment, routed=False, want=want)
            if got is not SKIPPED:
                value = got
        return value

    async def _execute(
        self, line: Line, prepared: Prepared, address: str, *, routed: bool, want: bool
    ) -> tuple[Any, Move | None]:
        """One execution: its output value (None unless wanted) and, where it is routed, the next move."""
        session = self.session
        record = session.history.nodes.get(address)
        if record is None and session.replaying:
            check_replay(session.history, prepared, address)
        turn = Turn(line, prepared, address, self.scope(line, prepared.name, address), want, routed)
        turn.number = session.history.attempts.get(address, 1)
        if address in session.history.failures:
            turn.used = turn.number - 1
        result = await run_node(self, turn) if record is None else await recall(self, turn, record)
        await session.feed.breathe()
        return result

    def scope(self, line: Line, name: str, address: str) -> dict[str, Any]:
        """The names that templates and expressions of a node see, over the line's state as it is now."""
        session = self.session
        scope: dict[str, Any] = {
            "state": line.state,
            "variables": line.frame.variables,
            "secrets": session.secrets,
            "checkpoint": {"run_id": session.run_id, "node": name, "address": address},
        }
        if line.extras:
            scope.update(line.extras)
        if line.results is not None:
            scope["parallel_results"] = line.results
        return scope

    async def perform(self, turn: Turn) -> Outcome:
        """Do what the node's body says, once."""
        return await perform(self, turn)

    async def attempt(self, turn: Turn) -> Outcome:
        """The body once, within timeout_s, or its outcome from the cache."""
        node = turn.prepared.node
        if node.cache_ttl_s is not None:
            return await cached(self, turn, node.cache_ttl_s)
        if node.timeout_s is not None:
            return await within_time(self, turn, node.timeout_s)
        return await perform(self, turn)

    async def _fork(self, line: Line, fork: Fork) -> Move:
        """Run the branches, merge their states into the line, and return the move to the fan_in."""
        session, frame = self.session, line.frame
        join = fork.fan_in.name if fork.fan_in else None
        results: list[BranchResult | None] = [None] * len(fork.branches)
        at = line.address
        order = frame.foresight.order(fork)
        if session.expecting:
            session.expect(frame.foresight.branches(fork))

        async def one(place: int) -> None:
            index = order[place]
            node = fork.branches[index]
            prefix = addresses.branch(at, frame.prepared(node).segment)
            session.emit(BranchStarted(session.run_id, session.clock.now_s(), node.name, prefix, index))
            ok = False
            try:
                own = line.branch(prefix, join)
                output = await self.walk(own, frame.plan.jump(node.name))
                assert own.writes is not None
                results[index] = BranchResult(node.name, own.state, own.writes, output)
                ok = True
            finally:
                session.emit(
                    BranchFinished(session.run_id, session.clock.now_s(), node.name, prefix, index, ok)
                )

        settings = frame.settings
        failures = await run_together(
            len(fork.branches),
            one,
            limit=settings.max_concurrency,
            fail_fast=settings.fail_fast and not session.replaying,
            held=Interruption,
        )
        if failures:
            raise worst({order[place]: failure for place, failure in failures.items()})
        ended = [result for result in results if result is not None]
        place = str(fork.fan_in.place) if fork.fan_in else ""
        line.state, writes = merge(line.state, ended, frame.reducers, reduce, place=place)
        if line.writes is not None:
            line.writes.add(writes)
        line.results = [{"node": end.name, "output": end.output, "state": end.state} for end in ended]
        return frame.plan.jump(join, line.fan_in) if join else FINISH

    async def subgraph(
        self, outer: Line, workflow: Workflow, given: Mapping[str, Any], prefix: str
    ) -> JsonObject:
        """Run another workflow inside this one; its output_schema's keys, or its whole state where it has none."""
        frame = self._frames.get(id(workflow))
        if frame is None:
            frame = self._frames[id(workflow)] = Frame(
                workflow,
                self.session.actions,
                permissions=outer.frame.permissions,
                variables={},
                outer=outer.frame,
            )
        line = Line(frame, start_state(workflow, given), prefix, deadlines=outer.deadlines)
        line.address = f"{prefix}{line.address}"
        await self.walk(line, self.begin(line))
        final = validate_output(workflow.output_schema, line.state)
        return {key: final[key] for key in workflow.output_schema if key in final} or final

    async def _approve(self, prepared: Prepared, address: str, when: str) -> None:
        """Wait for a person's leave. Raises RunError when the answer is to stop."""
        answer = await self.session.ask(prepared.name, address, when, approval(when, prepared.name))
        if answer == STOP:
            raise RunError(f"a person stopped the run {when} {prepared.name!r}", place=prepared.place)
