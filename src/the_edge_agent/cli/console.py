"""Where the command line writes: answers to stdout, everything else to stderr.

A ``Console`` knows what each stream is (see ``terminal``) and writes accordingly: colours and live views for a person,
plain UTF-8 for a program. Nothing else in ``cli/`` touches ``sys.stdout`` or ``print``. It knows nothing of runs,
models or errors.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from the_edge_agent.cli.terminal import (
    Terminal,
    resolve_terminal,
    terminal_width,
    visible,
    visible_but_colour,
)

if TYPE_CHECKING:
    from the_edge_agent.cli.progress import Progress

_SGR = {
    "bold": "1",
    "dim": "2",
    "italic": "3",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}


class StdoutClosed(Exception):
    """Whoever read stdout went away (``tea runs list | head -1``). Not an error: the command ends quietly."""


class Console:
    """Writes to one pair of streams. ``out`` and ``json`` are the product; ``err`` and ``progress`` are the talk."""

    def __init__(
        self,
        stdout: TextIO | None,
        stderr: TextIO | None,
        terminal: Terminal | None = None,
        *,
        debug: bool = False,
    ) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self.terminal = terminal or Terminal()
        self.debug = debug

    @classmethod
    def for_process(cls, environ: Mapping[str, str], *, debug: bool = False) -> Console:
        """The console of this process's own streams, told to write UTF-8 into pipes and never to fail on a character."""
        terminal = resolve_terminal(environ, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)
        for stream in (sys.stdout, sys.stderr):
            _make_tolerant(stream)
        _read_tolerantly(sys.stdin)
        return cls(sys.stdout, sys.stderr, terminal, debug=debug)

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads stdout."""
        return self.terminal.out_is_terminal

    @property
    def width(self) -> int:
        """Columns to lay text out in; a pipe has no width, so nothing is ever cut for it."""
        return terminal_width() if self.terminal.out_is_terminal or self.terminal.err_is_terminal else 10_000

    def out(self, text: str = "", *, end: str = "\n") -> None:
        """Write to stdout and flush, so that a reader sees each line as it comes. Raises StdoutClosed."""
        if self._stdout is None:
            return
        shown = visible_but_colour(text) if self.terminal.out_is_terminal else text
        try:
            self._stdout.write(shown + end)
            self._stdout.flush()
        except BrokenPipeError:
            raise StdoutClosed from None
        except OSError as error:  # a full disk, mostly
            self.abandon_stdout()
            raise OSError(error.errno, error.strerror, "stdout") from None

    def err(self, text: str = "", *, end: str = "\n") -> None:
        """Write to stderr. A stderr that is gone is no reason to stop."""
        if self._stderr is None:
            return
        shown = visible_but_colour(text) if self.terminal.err_is_terminal else text
        try:
            self._stderr.write(shown + end)
            self._stderr.flush()
        except OSError:
            self._stderr = None

    def block(self, text: str, colour: str = "red") -> None:
        """Write an error, or whatever begins with a name and a colon, to stderr with that name in colour."""
        name, _, rest = text.partition(": ")
        self.err(f"{self.style(name, 'bold', colour, err=True)}: {visible(rest)}")

    def json(self, value: Any) -> None:
        """One JSON value on stdout: indented for a person, one line for a program."""
        self.out(json_text(value, indent=2 if self.is_terminal else None))

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Columns under headers. In a pipe: tab-separated, without headers, so that ``cut`` and ``awk`` read it."""
        lines = [[visible(cell).replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]
        if not self.is_terminal:
            for line in lines:
                self.out("\t".join(line))
            return
        widths = [max(len(cell) for cell in column) for column in zip(headers, *lines, strict=True)]
        self.out(self.style(_columns(headers, widths), "dim"))
        for line in lines:
            self.out(_columns(line, widths)[: self.width])

    def style(self, text: str, *styles: str, err: bool = False) -> str:
        """The text in colour where that stream shows colour, else the text. Control characters in it are made visible."""
        colour = self.terminal.colour_err if err else self.terminal.colour_out
        if not colour or not text:
            return text
        return f"\x1b[{';'.join(_SGR[style] for style in styles)}m{visible(text)}\x1b[0m"

    def symbol(self, name: str) -> str:
        """``done``, ``failed``, ``waiting``, ``skipped``, ``running``, ``dash`` or ``more``, in what the terminal can show."""
        return (_UNICODE_SYMBOLS if self.terminal.unicode else _ASCII_SYMBOLS)[name]

    def progress(self, label: str, total: int | None = None, *, unit: str = "bytes") -> Progress:
        """A progress bar on stderr, as a context manager; see ``Progress``."""
        from the_edge_agent.cli.progress import Progress

        return Progress(self, label, total, unit=unit)

    @contextmanager
    def status(self, text: str) -> Generator[None]:
        """A passing word on a live stderr while something takes time; nothing of it stays, and a pipe never sees it."""
        live = self.terminal.live and self._stderr is not None
        if live:
            self._write_raw(f"{text}{self.symbol('more')}")
        try:
            yield
        finally:
            if live:
                self._write_raw("\r\x1b[K")

    def _write_raw(self, text: str) -> None:
        try:
            if self._stderr is not None:
                self._stderr.write(text)
                self._stderr.flush()
        except OSError:
            self._stderr = None

    def abandon_stdout(self) -> None:
        """Send what is still buffered nowhere, so that the interpreter's own flush at exit stays quiet."""
        self._stdout = None
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.close(null)
        except OSError:
            pass


_UNICODE_SYMBOLS = {
    "done": "✓",
    "failed": "✗",
    "waiting": "?",
    "skipped": "·",
    "running": "▸",
    "dash": "—",
    "more": "…",
}
_ASCII_SYMBOLS = {
    "done": "+",
    "failed": "x",
    "waiting": "?",
    "skipped": ".",
    "running": ">",
    "dash": "-",
    "more": "...",
}


def json_text(value: Any, *, indent: int | None = None) -> str:
    r"""JSON as UTF-8 text; a lone surrogate stays the ``\ud800`` escape it came as."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)
    # Only lone surrogates can fail to encode, and inside JSON they only stand in strings, where the escape is the same.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: object) -> object:
    """Frozen views (Mapping, Sequence) as what json knows."""
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, Iterable):
        return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(f"{type(value).__name__} is not JSON")


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _make_tolerant(stream: TextIO | None) -> None:
    if not isinstance(stream, io.TextIOWrapper):
        return
    if stream.isatty():
        stream.reconfigure(errors="backslashreplace")
    else:
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _read_tolerantly(stream: TextIO | None) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
