"""What the two output streams can show: terminal or pipe, colour, Unicode, width. Pure; knows nothing of writing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from typing import NamedTuple, Protocol

DEFAULT_WIDTH = 80

#: Control characters that must never reach a terminal from a file, a model or an error: C0 (but tab and newline), DEL, C1.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: The same, sparing the colour sequences that ``Console.style`` writes.
_CONTROLS_BUT_COLOUR = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Stream(Protocol):
    """The part of a text stream that is asked here."""

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        ...


class Terminal(NamedTuple):
    """What each stream is. ``live``: stderr can be redrawn in place. ``person``: stdin is a keyboard."""

    out_is_terminal: bool = False
    err_is_terminal: bool = False
    person: bool = False
    colour_out: bool = False
    colour_err: bool = False
    live: bool = False
    unicode: bool = True


def resolve_terminal(
    environ: Mapping[str, str], *, stdin: Stream | None, stdout: Stream | None, stderr: Stream | None
) -> Terminal:
    """Decide from the streams and NO_COLOR, TERM. A closed stream (None) counts as a pipe."""
    out_is_terminal = _is_terminal(stdout)
    err_is_terminal = _is_terminal(stderr)
    dumb = environ.get("TERM", "").lower() in ("dumb", "unknown")
    colour = not environ.get("NO_COLOR") and not dumb
    encodings = [
        getattr(stream, "encoding", None) or "ascii" for stream in (stdout, stderr) if _is_terminal(stream)
    ]
    return Terminal(
        out_is_terminal=out_is_terminal,
        err_is_terminal=err_is_terminal,
        person=_is_terminal(stdin),
        colour_out=colour and out_is_terminal,
        colour_err=colour and err_is_terminal,
        live=err_is_terminal and not dumb,
        unicode=all(
            encoding.lower().replace("-", "") in ("utf8", "utf16", "utf32") for encoding in encodings
        ),
    )


def terminal_width() -> int:
    """Columns of the terminal now (it may be resized), 80 where nobody knows."""
    return max(20, shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns)


def terminal_height() -> int:
    """Rows of the terminal now, 24 where nobody knows."""
    return max(5, shutil.get_terminal_size((DEFAULT_WIDTH, 24)).lines)


def visible(text: str) -> str:
    r"""Text from a file or a model as a terminal may show it: control characters become ``\x1b``-like escapes."""
    return _CONTROLS.sub(_escape, text)


def visible_but_colour(text: str) -> str:
    """The same for text that holds our own colour sequences."""
    return _CONTROLS_BUT_COLOUR.sub(_escape_but_colour, text)


def _escape(match: re.Match[str]) -> str:
    return "" if match.group() == "\r" else f"\\x{ord(match.group()):02x}"


def _escape_but_colour(match: re.Match[str]) -> str:
    return match.group() if len(match.group()) > 1 else _escape(match)


def _is_terminal(stream: Stream | None) -> bool:
    if stream is None:
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
