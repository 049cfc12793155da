"""How a worker is started: its command, its file and options, and what it sees of the environment. Starts nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What a worker sees of the daemon's environment: enough to find libraries, homes and devices, no secret.
PASSED_VARIABLES = frozenset(
    """
    HOME LANG LC_ALL LC_CTYPE PATH PYTHONPATH TMPDIR TZ APPDIR TEA_LLAMA_LIB TEA_N_THREADS
    LD_LIBRARY_PATH CUDA_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES OMP_NUM_THREADS
    OMP_WAIT_POLICY XDG_CACHE_HOME XDG_DATA_HOME SYSTEMROOT
    """.split()  # noqa: SIM905 - names read better as a paragraph
)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What to start. ``command`` is followed by the socket's number and the daemon's pid. With ``standby`` a process of this
    command may be started before it is known which model it is for.
    """

    name: str
    path: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "the_edge_agent.runtime.worker")
    offline: bool = False
    standby: bool = False


def scrubbed_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a worker gets: an allow-list, and no empty element in a library path (it means "here")."""
    kept = {name: value for name, value in environ.items() if name in PASSED_VARIABLES and value}
    for name in ("LD_LIBRARY_PATH", "PATH", "PYTHONPATH"):
        if name in kept:
            kept[name] = os.pathsep.join(part for part in kept[name].split(os.pathsep) if part)
    return {name: value for name, value in kept.items() if value} | {"PYTHONUNBUFFERED": "1"}


def file_identity(path: str) -> tuple[int, int, int, int] | None:
    """What tells this file from another under the same path; None where there is none."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
