"""A progress bar that never runs backwards: rich on a terminal, a line every tenth in a pipe.

It knows nothing of what progresses; the caller reports absolute figures.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from the_edge_agent.cli.text import format_bytes, format_seconds

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from the_edge_agent.cli.console import Console


class Progress:
    """``with console.progress("Downloading x", total) as bar: bar.update(done)``.

    ``unit`` is ``bytes`` or a plural noun. ``update`` takes absolute figures; one below an earlier one is ignored.
    ``total`` may become known later. Leaving the block by an exception leaves the bar where it stood.
    """

    def __init__(self, console: Console, label: str, total: int | None, *, unit: str) -> None:
        self._console = console
        self._label = label
        self._unit = unit
        self.total = total
        self.done = 0
        self._started = time.monotonic()
        self._told_tenth = 0
        self._rich: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        if self._console.terminal.live:
            self._rich = _rich_progress(self._console, self._unit)
        if self._rich is not None:
            self._rich.start()
            self._task = self._rich.add_task(self._label, total=self.total)
        else:
            of = f" ({self._amount(self.total)})" if self.total else ""
            self._console.err(f"{self._label}{of}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()
        elif kind is None:
            elapsed = time.monotonic() - self._started
            self._console.err(f"{self._label}: {self._amount(self.done)} in {format_seconds(elapsed)}")

    def update(self, done: int, total: int | None = None) -> None:
        """So much is done, of so much in all."""
        self.total = total if total is not None else self.total
        self.done = max(self.done, done)
        if self._rich is not None and self._task is not None:
            self._rich.update(self._task, completed=self.done, total=self.total)
        elif self.total and (tenth := 10 * self.done // self.total) > self._told_tenth:
            self._told_tenth = tenth
            if tenth < 10:
                self._console.err(f"{self._label}: {10 * tenth}%")

    def advance(self, amount: int) -> None:
        """So much more is done."""
        self.update(self.done + amount)

    def relabel(self, label: str) -> None:
        """Say what it is busy with now ("Verifying x")."""
        self._label = label
        if self._rich is not None and self._task is not None:
            self._rich.update(self._task, description=label)

    def note(self, text: str) -> None:
        """A line above the bar."""
        if self._rich is not None:
            self._rich.console.print(text, markup=False, highlight=False)
        else:
            self._console.err(text)

    def _amount(self, amount: int) -> str:
        return format_bytes(amount) if self._unit == "bytes" else f"{amount:,} {self._unit}"


def _rich_progress(console: Console, unit: str) -> RichProgress | None:
    """Rich's bar, or None where rich isn't installed."""
    try:
        from rich.console import Console as RichConsole
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as RichProgress
    except ImportError:
        return None
    rich_console = RichConsole(stderr=True, no_color=not console.terminal.colour_err)
    label = TextColumn("{task.description}", markup=False)
    if unit == "bytes":
        columns = (
            label,
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
    else:
        columns = (label, BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
    return RichProgress(*columns, console=rich_console, expand=True)
