"""What ``tea runtime install`` would do, decided before anything is touched. Pure: files are told to it as texts.

A plan is files and commands. ``decide`` compares a file with what lies there; the edge writes and runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from the_edge_agent.cli.runtime_install_units import (
    CONFIG,
    MARK,
    SYSTEM_SOCKET,
    SYSUSERS,
    TMPFILES,
    Scope,
    service_unit,
    socket_unit,
)
from the_edge_agent.errors import UsageError

UNITS = ("tea-runtime.socket", "tea-runtime.service")

Verdict = Literal["write", "replace", "unchanged", "keep", "refuse"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A file of the installation. One that is ``theirs`` is written once and belongs to the administrator from then on."""

    path: Path
    text: str
    theirs: bool = False


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """Everything an installation consists of."""

    scope: Scope
    files: tuple[Planned, ...]
    prepare: tuple[tuple[str, ...], ...]
    """Commands once the files lie there."""
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]
    """Commands before files are taken away, or replaced under a running daemon."""
    socket: str
    """Where the daemon is called, for a person."""


def decide(planned: Planned, lies_there: str | None) -> Verdict:
    """What to do with a file, by what lies at its path (None: nothing)."""
    if lies_there is None:
        return "write"
    if planned.theirs:
        return "keep"
    if lies_there == planned.text:
        return "unchanged"
    return "replace" if lies_there.startswith(MARK) else "refuse"


def may_remove(planned: Planned, lies_there: str | None) -> bool:
    """Whether uninstalling takes a file away: ours, and still what an installer wrote."""
    return lies_there is not None and not planned.theirs and lies_there.startswith(MARK)


def plan_system(command: Sequence[str], *, appimage: bool = False) -> InstallPlan:
    """For the whole machine.

    Raises:
        UsageError: the program lies where a service can't see it.
    """
    program = Path(command[0])
    if hidden := next((top for top in _HIDDEN if program.is_relative_to(top)), None):
        raise UsageError(
            f"{program} lies in {hidden}, which a system service doesn't see (ProtectHome)",
            place="tea runtime install",
            fix="install tea under /opt or /usr/local and name it with --tea, or use --user",
        )
    units, sysusers, tmpfiles = (
        Path("/etc/systemd/system"),
        Path("/etc/sysusers.d/tea.conf"),
        Path("/etc/tmpfiles.d/tea.conf"),
    )
    return InstallPlan(
        "system",
        (
            Planned(sysusers, SYSUSERS),
            Planned(tmpfiles, TMPFILES),
            Planned(Path("/etc/tea/runtime.yaml"), CONFIG, theirs=True),
            Planned(units / "tea-runtime.socket", socket_unit("system")),
            Planned(
                units / "tea-runtime.service",
                service_unit("system", command, "/etc/tea/runtime.yaml", appimage=appimage),
            ),
        ),
        prepare=(
            ("systemd-sysusers", str(sysusers)),
            ("systemd-tmpfiles", "--create", str(tmpfiles)),
            ("systemctl", "daemon-reload"),
            ("systemctl", "--quiet", "enable", *UNITS),
        ),
        start=(("systemctl", "start", *UNITS),),
        stop=(("systemctl", "stop", *UNITS),),
        socket=SYSTEM_SOCKET,
    )


def plan_user(
    command: Sequence[str], environ: Mapping[str, str], home: Path, *, appimage: bool = False
) -> InstallPlan:
    """For the user whose HOME this is; runs while that user is logged in, or lingers."""
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    units = config_home / "systemd" / "user"
    user = ("systemctl", "--user")
    return InstallPlan(
        "user",
        (
            Planned(config_home / "tea" / "runtime.yaml", CONFIG, theirs=True),
            Planned(units / "tea-runtime.socket", socket_unit("user")),
            Planned(
                units / "tea-runtime.service",
                service_unit("user", command, "%E/tea/runtime.yaml", appimage=appimage),
            ),
        ),
        prepare=((*user, "daemon-reload"), (*user, "--quiet", "enable", *UNITS)),
        start=((*user, "start", *UNITS),),
        stop=((*user, "stop", *UNITS),),
        socket="$XDG_RUNTIME_DIR/tea/runtime.sock",
    )


_HIDDEN = tuple(Path(f"/{name}") for name in ("home", "root", "run/user", "tmp", "var/tmp"))
