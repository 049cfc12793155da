"""The live view of a run on a terminal: finished nodes scroll up, running ones are redrawn in place with their text.

Drawn by rich on stderr from the same events as everything else. It holds no state of the run but the picture's.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.text import Text

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.run_picture import Row, RunPicture, ancestor
from the_edge_agent.cli.terminal import terminal_height, visible
from the_edge_agent.cli.text import clip, format_seconds
from the_edge_agent.cli.views import SilentView
from the_edge_agent.engine.events import Event, NodeErrorHandled, NodeFinished, NodeRetried, RunStarted

MAX_ROWS = 8
MAX_TEXT_LINES = 8
#: A run of thousands of nodes keeps its first lines on the screen's history and then only counts.
MAX_PRINTED_NODES = 200


class LiveView(SilentView):
    """Redraws ten times a second at most, whatever the speed of the tokens."""

    wants_tokens = True

    def __init__(self, console: Console, picture: RunPicture) -> None:
        self._console = console
        self._picture = picture
        self._clock_offset_s: float | None = None
        self._printed = 0
        self._rich = RichConsole(
            stderr=True, no_color=not console.terminal.colour_err, highlight=False, markup=False, emoji=False
        )
        self._live = Live(console=self._rich, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update(Text(""))
        self._live.stop()

    def show(self, event: Event, row: Row | None) -> None:
        """Print what is worth keeping; the rest waits for the next tick."""
        match event:
            case RunStarted():
                title = Text(clip(visible(event.workflow), 60), style="bold")
                title.append(f"  {'resumed, ' if event.resumed else ''}run {event.run_id}", style="dim")
                self._rich.print(title)
                for notice in event.notices:
                    self._rich.print(Text(f"  note: {visible(notice)}", style="yellow"))
            case NodeFinished() if row is not None:
                self._print_finished(row)
            case NodeRetried() | NodeErrorHandled() if row is not None:
                self._rich.print(Text(f"  ! {row.node}: {visible(row.note)}", style="yellow"))
            case _:
                pass

    def tick(self) -> None:
        """Redraw."""
        if self._live.is_started:
            self._live.update(self._drawing(), refresh=True)

    def pause(self) -> None:
        """Take the drawing off the screen."""
        self._live.update(Text(""))
        self._live.stop()

    def go_on(self) -> None:
        """Draw again."""
        self._live.start()

    def give_up(self) -> None:
        """Give the terminal its cursor back."""
        self._rich.show_cursor(show=True)

    def _print_finished(self, row: Row) -> None:
        if ancestor(row.address, self._picture.running) is not None:
            return  # an item or a turn of something that still runs; its own line will tell
        self._printed += 1
        if self._printed <= MAX_PRINTED_NODES:
            self._rich.print(_finished_line(row, self._console))
        elif self._printed == MAX_PRINTED_NODES + 1:
            self._rich.print(
                Text(f"  {self._console.symbol('more')} further nodes are only counted", style="dim")
            )

    def _row_line(self, row: Row, now_s: float) -> Text:
        inner = ancestor(row.address, self._picture.running) is not None
        return _running_line(row, now_s, self._console, inner=inner)

    def _drawing(self) -> Group:
        import time

        now_s = time.time()
        rows = list(self._picture.running.values())
        lines = [self._row_line(row, now_s) for row in rows[:MAX_ROWS]]
        if len(rows) > MAX_ROWS:
            lines.append(
                Text(f"  {self._console.symbol('more')} and {len(rows) - MAX_ROWS:,} more", style="dim")
            )
        talking = [row for row in rows if row.tail]
        if talking:
            room = max(1, min(MAX_TEXT_LINES, terminal_height() - len(lines) - 4))
            lines += _tail_lines(talking[-1].tail, self._rich, room)
        if self._printed > MAX_PRINTED_NODES:
            lines.append(Text(f"  {self._picture.finished_nodes:,} nodes done", style="dim"))
        return Group(*lines)


def _finished_line(row: Row, console: Console) -> Text:
    line = Text("  ")
    if row.status == "skipped":
        return line.append(f"{console.symbol('skipped')} {row.node}  skipped", style="dim")
    line.append(console.symbol("done"), style="green").append(f" {row.node}")
    if row.from_log:
        return line.append("  from the log", style="dim")
    line.append(f"  {format_seconds(row.duration_s)}{_speed(row, 0.0)}", style="dim")
    if row.note:
        line.append(f"  {visible(row.note)}", style="yellow")
    return line


def _running_line(row: Row, now_s: float, console: Console, *, inner: bool) -> Text:
    line = Text("    " if inner else "  ")
    line.append(console.symbol("running"), style="cyan").append(f" {row.node}", style="bold")
    details = format_seconds(max(0.0, now_s - row.started_s)) + _speed(row, now_s)
    if row.iteration:
        details += f", turn {row.iteration}"
    if row.branches_running or row.branches_done:
        details += f", {row.branches_done} done, {row.branches_running} running"
    if row.branches_failed:
        details += f", {row.branches_failed} failed"
    if row.attempt > 1:
        details += f", attempt {row.attempt}"
    return line.append(f"  {details}", style="dim")


def _speed(row: Row, now_s: float) -> str:
    if not row.tokens:
        return ""
    rate = row.tokens_per_s(now_s)
    return f", {row.tokens:,} tokens" + (f", {rate:,.0f} tokens/s" if rate else "")


def _tail_lines(text: str, rich: RichConsole, room: int) -> list[Text]:
    """The last lines of streamed text, wrapped to the terminal and indented."""
    wrapped = Text(visible(text.strip("\n")), style="italic").wrap(rich, max(10, rich.width - 6))
    return [Text("    ") + line for line in list(wrapped)[-room:]]
