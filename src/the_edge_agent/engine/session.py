"""What belongs to a whole run: its log and history, its events, its outside, its usage.

The session writes and tells; what to write and tell is the driver's business. It knows nothing of graphs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from the_edge_agent.engine import address as addresses
from the_edge_agent.engine.action import Actions
from the_edge_agent.engine.events import Event, Token
from the_edge_agent.engine.failure import error_json
from the_edge_agent.engine.feed import Feed
from the_edge_agent.engine.ports import BackendChoice, BackendResolver, CachePort, Clock, Expecting, Ports
from the_edge_agent.engine.question import Interruption, check_answer
from the_edge_agent.engine.records import History, Record
from the_edge_agent.engine.run_log import RunLog
from the_edge_agent.engine.secrets import Redactor, StreamRedactor
from the_edge_agent.errors import EdgeAgentError, InputInvalid, OutputInvalid, Problem
from the_edge_agent.inference import JsonObject, JsonValue

#: Shows a question to a person and returns the answer; see question.py for its shape.
Asker: TypeAlias = Callable[[JsonObject], Awaitable[JsonValue]]
#: So often a person may answer what doesn't fit before the run gives up.
MAX_ANSWERS = 10


class Session:
    """One run in one process. ``replaying``: nothing is written, and everything must come from the history."""

    def __init__(
        self,
        run_id: str,
        feed: Feed,
        *,
        log: RunLog | None,
        history: History,
        replaying: bool,
        actions: Actions,
        ports: Ports,
        backends: BackendResolver | None,
        cache: CachePort,
        clock: Clock,
        asker: Asker | None,
        answers: Mapping[str, JsonValue],
        seed: int | None,
    ) -> None:
        self.run_id = run_id
        self.feed = feed
        self.history = history
        self.replaying = replaying
        self.actions = actions
        self.ports = ports
        self.backends = backends
        self.cache = cache
        self.clock = clock
        self.seed = seed
        self.secrets: Mapping[str, str] = ports.secrets or {}
        self.redactor = Redactor(self.secrets)
        #: Of every committed execution, those of earlier processes and of attempts that failed included.
        self.usage = history.usage
        #: Without a log nothing is kept for a later process, so nothing has to be compared or encoded.
        self.logging = log is not None and not replaying
        self._log = log
        #: Told what comes next; None where nobody makes use of it, and nothing is asked of a model in a replay.
        self._expecting = backends if isinstance(backends, Expecting) and not replaying else None
        self._asker = asker
        self._answers = answers
        self._told: list[tuple[EdgeAgentError, str, str]] = []
        self._streams: dict[str, StreamRedactor] = {}

    def emit(self, event: Event) -> None:
        """Tell an event."""
        self.feed.put(event)

    def write(self, record: Record) -> None:
        """Commit a record; a no-op without a log. Raises OutputInvalid where it isn't JSON."""
        if self.logging and self._log is not None:
            try:
                self._log.append(record)
            except (ValueError, TypeError, RecursionError) as error:
                raise OutputInvalid(
                    f"the run's log can't hold this: {error}", fix="return JSON values"
                ) from error

    @property
    def expecting(self) -> bool:
        """Whether somebody makes use of what comes next."""
        return self._expecting is not None

    def expect(self, choices: Sequence[BackendChoice]) -> None:
        """Tell the resolver which models will be asked next."""
        if choices and self._expecting is not None:
            self._expecting.expect(choices)

    def clean(self, value: Any) -> Any:
        """``value`` without secrets."""
        return self.redactor.value(value) if self.redactor else value

    def write_failure(self, node: str, address: str, error: EdgeAgentError) -> None:
        """Log why the run fails, once: containers pass on what failed inside them."""
        if self.failed_at(error) is not None:
            return
        self._told.append((error, node, address))
        if self.redactor:
            self.redactor.error(error)
        with suppress(EdgeAgentError):  # the error itself matters more than that the log can't take it
            self.write({"kind": "fail", "at": address, "error": error_json(error)})

    def failed_at(self, error: EdgeAgentError) -> tuple[str, str] | None:
        """The node and the address where an error first showed."""
        return next(((node, at) for told, node, at in self._told if told is error), None)

    def token(self, node: str, address: str, text: str) -> None:
        """Tell a piece of streamed text; what may be part of a secret waits for the next piece."""
        if self.redactor:
            text = self._streams.setdefault(address, StreamRedactor(self.redactor)).feed(text)
        if text:
            self.emit(Token(self.run_id, self.clock.now_s(), node, address, text))

    def end_tokens(self, node: str, address: str) -> None:
        """The node streams no more: tell what was held back."""
        stream = self._streams.pop(address, None)
        if stream is not None and (text := stream.flush()):
            self.emit(Token(self.run_id, self.clock.now_s(), node, address, text))

    async def ask(self, node: str, address: str, number: str | int, question: JsonObject) -> JsonValue:
        """The answer to a question: from the log, from the asker, or by stopping the run (Interruption)."""
        at = addresses.question(address, number)
        history = self.history
        if at in history.answers:
            return history.answers[at]
        full: dict[str, Any] = {**self.clean(question), "node": node, "address": at}
        if at not in history.questions:
            self.write({"kind": "ask", "at": at, "question": full})
            history.questions[at] = full
        if at in self._answers and not self.replaying:
            return self.answer(at, check_answer(full, self._answers[at]))
        if self._asker is None or self.replaying:
            raise Interruption(full)
        shown = full
        for _ in range(MAX_ANSWERS):
            try:
                answer = check_answer(full, await self._asker(shown))
            except InputInvalid as error:
                shown = {**full, "problem": str(error)}
                continue
            return self.answer(at, answer)
        raise InputInvalid(
            (
                Problem(
                    f"{MAX_ANSWERS} answers to {full.get('prompt')!r} didn't fit", "answer", "answer as asked"
                ),
            )
        )

    def answer(self, at: str, answer: JsonValue) -> JsonValue:
        """Commit an answer; what the node sees is what the log holds."""
        kept = self.clean(answer)
        self.write({"kind": "answer", "at": at, "answer": kept})
        self.history.answers[at] = kept
        return kept
