"""How a run ends: the last record and the last event, whichever way it went. Knows nothing of how it got there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from the_edge_agent.engine.events import Failed, Finished, Interrupted
from the_edge_agent.engine.failure import error_json
from the_edge_agent.engine.line import Line
from the_edge_agent.engine.records import usage_json
from the_edge_agent.engine.session import Session
from the_edge_agent.engine.state import State
from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.inference import JsonObject
from the_edge_agent.workflow.input_schema import validate_output


@dataclass(frozen=True, slots=True)
class Ending:
    """Of one life of a run that began at ``began_s``."""

    session: Session
    line: Line
    began_s: float

    def finish(self) -> None:
        """All is done. Raises OutputInvalid where the final state isn't what the file promises."""
        session, line = self.session, self.line
        workflow = line.frame.workflow
        validate_output(workflow.state_schema, line.state)
        line.state = State({**line.state, **validate_output(workflow.output_schema, line.state)})
        duration_s = self._write("finished")
        session.emit(Finished(session.run_id, session.clock.now_s(), line.state, self._usage(), duration_s))

    def fail(self, error: EdgeAgentError) -> None:
        """It ends in an error; the event names the node where that first showed."""
        session, line = self.session, self.line
        if session.redactor:
            session.redactor.error(error)
        node, at = session.failed_at(error) or (line.path[-1] if line.path else "", line.address)
        told = error_json(error)
        duration_s = session.clock.now_s() - self.began_s
        with suppress(EdgeAgentError):  # the log may be what failed
            self._write("failed", error=told, at=at)
        session.emit(
            Failed(
                session.run_id, session.clock.now_s(), node, at, told, line.state, self._usage(), duration_s
            )
        )

    def interrupt(self, question: JsonObject) -> None:
        """It waits for a person."""
        session = self.session
        with suppress(EdgeAgentError):  # the question is in the log already
            self._write("interrupted", question=question)
        node, at = str(question.get("node", "")), str(question.get("address", ""))
        now_s = session.clock.now_s()
        duration_s = now_s - self.began_s
        session.emit(
            Interrupted(session.run_id, now_s, node, at, question, self.line.state, self._usage(), duration_s)
        )

    def _write(self, status: str, **more: Any) -> float:
        """Log the end; how long this life of the run took, in seconds."""
        session = self.session
        now_s = session.clock.now_s()
        duration_s = now_s - self.began_s
        session.write(
            {
                "kind": "end",
                "status": status,
                "usage": usage_json(session.usage),
                **more,
                "duration_s": round(duration_s, 6),
                "at_s": now_s,
            }
        )
        return duration_s

    def _usage(self) -> dict[str, int]:
        usage = self.session.usage
        return {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_tokens": usage.cached_tokens,
        }
