"""How a run ended, as the command line reports it: status, answer, exit code. Pure; draws nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["finished", "failed", "interrupted", "stopped"]

#: ``interrupted`` waits for a person's answer; ``stopped`` was ended by a signal. The run store uses the same words.
EXIT_CODES: dict[Status, int] = {"finished": 0, "failed": 1, "interrupted": 3, "stopped": 130}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run. ``state`` is the last one known; ``question`` what a person is asked; times in seconds."""

    status: Status
    run_id: str | None = None
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    question: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    usage: dict[str, int] = field(default_factory=dict[str, int])
    duration_s: float = 0.0
    node: str = ""
    exit_code: int = 0

    @classmethod
    def of_error(cls, error: BaseException, run_id: str | None = None) -> Outcome:
        """A run that failed before it could say so itself."""
        from the_edge_agent.cli.errors import error_to_json, exit_code_of

        return cls("failed", run_id=run_id, error=error_to_json(error), exit_code=exit_code_of(error))

    def to_json(self) -> dict[str, Any]:
        """What ``--output json`` prints."""
        run: dict[str, Any] = {"id": self.run_id, "status": self.status}
        if self.question is not None:
            run["question"] = self.question
        if self.error is not None:
            run["error"] = self.error
        run["usage"] = self.usage
        run["duration_s"] = round(self.duration_s, 6)
        return {"state": self.state, "run": run}
