"""What streams can show, and what may never reach a terminal."""

from __future__ import annotations

import io

import pytest

from the_edge_agent.cli.console import Console, json_text
from the_edge_agent.cli.terminal import Terminal, resolve_terminal, visible, visible_but_colour


class Tty(io.StringIO):
    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_colour_and_a_pipe_has_none() -> None:
    found = resolve_terminal({"TERM": "xterm"}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=Tty())
    assert found == Terminal(err_is_terminal=True, colour_err=True, live=True)


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_and_a_dumb_terminal_turn_colour_off(environ: dict[str, str]) -> None:
    found = resolve_terminal(environ, stdin=Tty(), stdout=Tty(), stderr=Tty())
    assert not found.colour_out
    assert not found.colour_err
    assert found.live == (environ.get("TERM") != "dumb")


def test_closed_streams_count_as_pipes() -> None:
    closed = io.StringIO()
    closed.close()
    assert resolve_terminal({}, stdin=None, stdout=None, stderr=closed) == Terminal()


def test_a_terminal_that_knows_no_unicode_gets_ascii_symbols() -> None:
    terminal = resolve_terminal({"TERM": "vt100"}, stdin=None, stdout=Tty("latin-1"), stderr=Tty("latin-1"))
    console = Console(io.StringIO(), io.StringIO(), terminal)
    assert console.symbol("done").isascii()


def test_escape_sequences_from_a_model_never_reach_a_terminal_as_such() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2Jhello\x9b31m\rbye\x00"
    assert visible(hostile) == "\\x1b]0;owned\\x07\\x1b[2Jhello\\x9b31mbye\\x00"
    stream = Tty()
    Console(stream, None, Terminal(out_is_terminal=True)).out(hostile)
    assert "\x1b" not in stream.getvalue()


def test_our_own_colours_pass_and_nothing_else_does() -> None:
    assert visible_but_colour("\x1b[1;31mred\x1b[0m \x1b[2J") == "\x1b[1;31mred\x1b[0m \\x1b[2J"


def test_a_pipe_gets_the_bytes_as_they_are() -> None:
    stream = io.StringIO()
    Console(stream, None).out("a\x1bb\r\n")
    assert stream.getvalue() == "a\x1bb\r\n\n"


def test_a_lone_surrogate_in_json_stays_an_escape_that_parses_back() -> None:
    import json

    text = json_text({"key": "a\ud800b é"})
    assert text == '{"key": "a\\ud800b é"}'
    assert json.loads(text) == {"key": "a\ud800b é"}


def test_a_table_in_a_pipe_is_tab_separated_without_headers() -> None:
    stream = io.StringIO()
    Console(stream, None).table(("ID", "NAME"), [("1", "two\twords\nand lines")])
    assert stream.getvalue() == "1\ttwo words and lines\n"


def test_a_table_on_a_terminal_is_aligned_under_its_headers() -> None:
    stream = Tty()
    Console(stream, None, Terminal(out_is_terminal=True)).table(("ID", "NAME"), [("1", "a"), ("1000", "b")])
    assert stream.getvalue().splitlines() == ["ID    NAME", "1     a", "1000  b"]


def test_progress_in_a_pipe_says_each_tenth_once_and_never_runs_backwards() -> None:
    stream = io.StringIO()
    with Console(None, stream).progress("Downloading x", 1_000_000) as bar:
        for thousands in (50, 150, 120, 160, 990, 1000):
            bar.update(1000 * thousands)
    lines = stream.getvalue().splitlines()
    assert lines[:3] == ["Downloading x (1.0 MB)", "Downloading x: 10%", "Downloading x: 90%"]
    assert lines[3].startswith("Downloading x: 1.0 MB in ")
    assert len(lines) == 4
    assert bar.done == 1_000_000
