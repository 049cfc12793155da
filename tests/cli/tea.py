"""Runs the real command in a process of its own, with a HOME of its own, bounded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

TIMEOUT_S = 120
COMMAND = (sys.executable, "-W", "error", "-m", "the_edge_agent.cli")


class Done(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def first_error_line(self) -> str:
        return next((line for line in self.err.splitlines() if ": " in line and line[0].isupper()), "")


def clean_environ(home: Path, extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment of a person who has set nothing. A value of None in ``extra`` unsets a variable."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    for name in ("TEA_LLAMA_LIB", "TEA_N_THREADS", "LLAMA_CPP_LIB_PATH"):
        if name in os.environ:
            environ[name] = os.environ[name]
    for name, value in (extra or {}).items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
    return environ


def tea(
    *arguments: str | Path,
    home: Path,
    stdin: str | bytes = b"",
    environ: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
) -> Done:
    """Run ``tea ARGUMENTS`` to its end."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=data,
        capture_output=True,
        env=clean_environ(home, environ),
        cwd=cwd or home,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
