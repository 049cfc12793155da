"""Ways to watch a run: NDJSON for programs, lines for a log file, nothing at all. Each is fed the same events.

The live view of a terminal is in ``live``. Views write; they know nothing of how events come about.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from the_edge_agent.cli.console import Console, json_text
from the_edge_agent.cli.run_picture import Row, RunPicture
from the_edge_agent.cli.terminal import visible
from the_edge_agent.cli.text import format_seconds, plain
from the_edge_agent.engine.events import Event, NodeErrorHandled, NodeFinished, NodeRetried, RunStarted


class View(Protocol):
    """Shows events as they come. ``pause`` and ``go_on`` frame a question to the person."""

    wants_tokens: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: Event, row: Row | None) -> None:
        """One event, and the row of the picture that it changed."""
        ...

    def tick(self) -> None:
        """A tenth of a second has passed."""
        ...

    def pause(self) -> None:
        """Leave the screen to somebody else."""
        ...

    def go_on(self) -> None:
        """Take the screen back."""
        ...

    def give_up(self) -> None:
        """The process ends at once: leave the terminal as it was found."""
        ...


class SilentView:
    """Shows nothing; the base of the other plain views."""

    wants_tokens = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, event: Event, row: Row | None) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""

    def pause(self) -> None:
        """Nothing."""

    def go_on(self) -> None:
        """Nothing."""

    def give_up(self) -> None:
        """Nothing."""


class NdjsonView(SilentView):
    """Each event as one line of JSON on stdout, and nothing else there."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, event: Event, row: Row | None) -> None:
        """Write the event's line."""
        del row
        self._console.out(json_text(plain(event.to_json())))


class LineView(SilentView):
    """A line on stderr for each finished node and each thing worth knowing: what a log file keeps."""

    def __init__(self, console: Console, picture: RunPicture) -> None:
        self._console = console
        self._picture = picture

    def show(self, event: Event, row: Row | None) -> None:
        """Write a line where the event is worth one."""
        match event:
            case RunStarted():
                again = "resumed" if event.resumed else "started"
                self._console.err(f"run {event.run_id} {again}: {visible(event.workflow)}")
                for notice in event.notices:
                    self._console.err(f"note: {visible(notice)}")
            case NodeFinished() if row is not None:
                self._console.err(f"{row.node}: {describe(row)}")
            case NodeRetried() | NodeErrorHandled() if row is not None:
                self._console.err(f"{row.node}: {visible(row.note)}")
            case _:
                pass


def describe(row: Row) -> str:
    """A finished row in words: ``done in 0.4 s, 12 tokens``."""
    if row.status == "skipped":
        return "skipped"
    if row.from_log:
        return "done before, taken from the log"
    words = f"done in {format_seconds(row.duration_s)}"
    if row.tokens:
        words += f", {row.tokens:,} tokens"
    if row.note:
        words += f" ({visible(row.note)})"
    return words
