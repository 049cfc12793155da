"""A real terminal for the tests: a pseudo-terminal with the command behind it, typed into and read from."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cli.tea import COMMAND, TIMEOUT_S, clean_environ

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|[\x01\x02\x07]")


class Session:
    """``with Session("chat", home=home) as terminal:``; ``expect`` waits for text, ``type`` sends keys."""

    def __init__(
        self,
        *arguments: str,
        home: Path,
        environ: Mapping[str, str | None] | None = None,
        columns: int = 80,
        lines: int = 24,
    ) -> None:
        self.raw = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=slave, stdout=slave, stderr=slave, cwd=home, env=clean_environ(home, environ),
            start_new_session=True, preexec_fn=_take_terminal,  # noqa: PLW1509 - one ioctl, and nothing else does it
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """What came so far, without escape sequences and carriage returns."""
        return _ESCAPES.sub("", self.raw).replace("\r", "")

    def expect(self, text: str, *, times: int = 1) -> None:
        """Wait until the text has come so many times."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.text.count(text) < times:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} didn't come; this came:\n{self.text}")

    def type(self, keys: str) -> None:
        """Press keys: ``\\r`` is Enter, ``\\x03`` Ctrl-C, ``\\x04`` Ctrl-D."""
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._read(deadline):
            pass
        return self._process.wait(TIMEOUT_S)

    def _read(self, deadline: float) -> bool:
        """Take in what comes next. False at the end, or when the time is up."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # the other side has closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)


def _take_terminal() -> None:
    """Make stdin the terminal that sends this process its Ctrl-C."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
