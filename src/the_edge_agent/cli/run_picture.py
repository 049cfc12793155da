"""What a run looks like from its events: rows of nodes with their time, tokens and latest text. Draws nothing.

The live view and the plain lines are both drawn from here, so that they can't disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from the_edge_agent.cli.outcome import Outcome, Status
from the_edge_agent.cli.text import plain
from the_edge_agent.engine.events import (
    BranchFinished,
    BranchStarted,
    Event,
    Failed,
    Finished,
    Interrupted,
    LoopIteration,
    NodeErrorHandled,
    NodeFinished,
    NodeRetried,
    NodeStarted,
    RunStarted,
    Token,
)

RowStatus: TypeAlias = Literal["running", "done", "skipped", "failed", "waiting"]

#: Streamed text kept for a live view; the whole of it is in the state anyway.
MAX_TAIL_CHARS = 4_000


@dataclass(slots=True)
class Row:
    """One execution of one node. ``tokens`` counts streamed pieces until the usage is known."""

    node: str
    address: str
    status: RowStatus = "running"
    started_s: float = 0.0
    duration_s: float = 0.0
    first_token_s: float | None = None
    tokens: int = 0
    tail: str = ""
    attempt: int = 1
    from_log: bool = False
    iteration: int = 0
    branches_running: int = 0
    branches_done: int = 0
    branches_failed: int = 0
    note: str = ""

    def tokens_per_s(self, now_s: float) -> float | None:
        """Speed since the first token, or None before there is one to speak of."""
        if self.first_token_s is None or self.tokens < 2:
            return None
        end_s = now_s if self.status == "running" else self.started_s + self.duration_s
        elapsed = end_s - self.first_token_s
        return (self.tokens - 1) / elapsed if elapsed > 0 else None


@dataclass(slots=True)
class RunPicture:
    """The run so far. ``running`` holds what is under way, by address, in the order it started."""

    run_id: str | None = None
    workflow: str = ""
    started_s: float = 0.0
    now_s: float = 0.0
    resumed: bool = False
    running: dict[str, Row] = field(default_factory=dict[str, Row])
    finished_nodes: int = 0
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    usage: dict[str, int] = field(default_factory=dict[str, int])
    status: Status | None = None
    question: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    duration_s: float | None = None
    last_node: str = ""

    def see(self, event: Event) -> Row | None:
        """Take one event in. Returns the row it was about, as it stands now; None for events about the whole run."""
        self.run_id = event.run_id
        self.now_s = max(self.now_s, event.at_s)
        match event:
            case RunStarted():
                self.workflow, self.resumed = event.workflow, event.resumed
                self.started_s = event.at_s
            case Finished() | Interrupted() | Failed():
                self._end(event)
            case _:
                return self._see_node(event)
        return None

    def _see_node(self, event: Event) -> Row | None:
        match event:
            case NodeStarted():
                return self._start(event)
            case Token():
                return self._token(event)
            case NodeFinished():
                return self._finish(event)
            case NodeRetried() | NodeErrorHandled():
                return self._trouble(event)
            case BranchStarted() | BranchFinished():
                return self._branch(event)
            case LoopIteration():
                row = self._row(event.node, event.address, event.at_s)
                row.iteration = event.iteration
                return row
            case _:
                return None

    def _end(self, event: Finished | Interrupted | Failed) -> None:
        self.state = plain(event.state) or self.state
        if isinstance(event, Interrupted):
            self.status, self.question, self.last_node = "interrupted", plain(event.question), event.node
            return
        self.usage, self.duration_s = dict(event.usage) or self.usage, event.duration_s
        if isinstance(event, Failed):
            self.status, self.error, self.last_node = "failed", plain(event.error), event.node
        else:
            self.status, self.state = "finished", plain(event.state)

    def outcome(self) -> Outcome:
        """How it ended. A run whose events just stop was interrupted; what it committed is kept."""
        from the_edge_agent.cli.outcome import EXIT_CODES

        status = self.status or "stopped"
        elapsed = self.duration_s if self.duration_s is not None else max(0.0, self.now_s - self.started_s)
        return Outcome(
            status=status,
            run_id=self.run_id,
            state=self.state,
            question=self.question,
            error=self.error,
            usage=self.usage,
            duration_s=elapsed,
            node=self.last_node,
            exit_code=EXIT_CODES[status],
        )

    def _row(self, node: str, address: str, at_s: float) -> Row:
        row = self.running.get(address)
        if row is None:
            row = self.running[address] = Row(node, address, started_s=at_s)
        return row

    def _start(self, event: NodeStarted) -> Row:
        row = self._row(event.node, event.address, event.at_s)
        row.attempt = event.attempt
        self.last_node = event.node
        return row

    def _token(self, event: Token) -> Row:
        row = self._row(event.node, event.address, event.at_s)
        if row.first_token_s is None:
            row.first_token_s = event.at_s
        row.tokens += 1
        row.tail = (row.tail + event.text)[-MAX_TAIL_CHARS:]
        return row

    def _finish(self, event: NodeFinished) -> Row:
        row = self.running.pop(event.address, None) or Row(event.node, event.address, started_s=event.at_s)
        row.status = "skipped" if event.skipped else "done"
        row.duration_s, row.from_log = event.duration_s, event.from_log
        row.tokens = event.usage.get("completion_tokens") or row.tokens
        row.note = "; ".join(event.notices)
        self.finished_nodes += 1
        self.last_node = event.node
        self.state.update(plain(event.updates))
        self._add_usage(event.usage)
        return row

    def _trouble(self, event: NodeRetried | NodeErrorHandled) -> Row:
        row = self._row(event.node, event.address, event.at_s)
        what = str(event.error.get("what") or event.error.get("name") or "failed")
        if isinstance(event, NodeRetried):
            row.attempt = event.attempt + 1
            row.note = f"attempt {event.attempt} failed ({what}); again in {event.wait_s:g} s"
            row.tail, row.tokens, row.first_token_s = "", 0, None
        else:
            row.note = f"{what}; going on at {event.goto}" if event.goto else f"{what}; took the fallback"
        return row

    def _branch(self, event: BranchStarted | BranchFinished) -> Row | None:
        parent = event.address if event.address in self.running else ancestor(event.address, self.running)
        if parent is None:
            return None
        row = self.running[parent]
        if isinstance(event, BranchStarted):
            row.branches_running += 1
        else:
            row.branches_running = max(0, row.branches_running - 1)
            row.branches_done += event.ok
            row.branches_failed += not event.ok
        return row

    def _add_usage(self, usage: Mapping[str, int]) -> None:
        for key, value in usage.items():
            self.usage[key] = self.usage.get(key, 0) + value


def ancestor(address: str, rows: Mapping[str, Row]) -> str | None:
    """The nearest row that this address lies within; see ``engine.address`` for what addresses look like."""
    path = address.rstrip("/")
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in rows:
            return path
    return None
