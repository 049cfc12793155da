"""``tea runtime install`` and ``uninstall``: make the daemon a service of systemd, and take it away again.

Twice is as good as once. A unit that somebody wrote by hand is never replaced, a configuration never overwritten.
The texts are in ``runtime_install_units``, what to do with them in ``runtime_install_plan``; here it is done.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from the_edge_agent.cli.parser import Parser, Subparsers
from the_edge_agent.errors import ServiceInstallFailed, UnsupportedFeature, UsageError

if TYPE_CHECKING:
    from the_edge_agent.cli.console import Console
    from the_edge_agent.cli.runtime_install_plan import InstallPlan

_HANDLERS = "the_edge_agent.cli.runtime_install"
_PLACE = "tea runtime install"
_INSTALL_EPILOG = """\
Examples:
  tea runtime install --user                   for me, while I am logged in
  sudo tea runtime install --system            for this machine
  tea runtime install --system --dry-run       show every file and every command
  tea runtime install --system --root image/ --tea /usr/bin/tea     into the tree of an image or a package
"""
_UNINSTALL_EPILOG = """\
Configuration, models and runs stay where they are.
"""


def add_verbs(verbs: Subparsers) -> None:
    """Register the two verbs under ``tea runtime``."""
    install_ = _add(
        verbs, "install", "Make the daemon a systemd service and start it.", epilog=_INSTALL_EPILOG
    )
    install_.add_argument(
        "--tea", metavar="PATH", type=Path, help="the program that the service starts (this one)"
    )
    install_.add_argument("--no-start", action="store_true", help="write and enable it, don't start it")
    _add(
        verbs,
        "uninstall",
        "Stop the service and take away what `install` wrote.",
        epilog=_UNINSTALL_EPILOG,
    )


def _add(verbs: Subparsers, verb: str, what: str, *, epilog: str) -> Parser:
    parser = verbs.add_parser(
        verb, help=what[0].lower() + what[1:].rstrip("."), description=what, epilog=epilog
    )
    scope = parser.add_mutually_exclusive_group(required=True)
    scope.add_argument("--user", action="store_true", help="a service of the user who calls")
    scope.add_argument("--system", action="store_true", help="a service of the machine (needs root)")
    parser.add_argument(
        "--root", metavar="DIR", type=Path, help="work on the system below DIR, and run no command"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.set_defaults(handler=f"{_HANDLERS}:{verb}")
    return parser


def install(args: argparse.Namespace, console: Console) -> int:
    """Write what isn't there, enable, start."""
    from the_edge_agent.cli.runtime_install_plan import decide

    plan = _plan(args, this_tea(args.tea))
    lying = {planned: _read(_below(args.root, planned.path)) for planned in plan.files}
    verdicts = {planned: decide(planned, text) for planned, text in lying.items()}
    for planned, verdict in verdicts.items():
        if verdict == "refuse":
            raise UsageError(
                f"{_below(args.root, planned.path)} was not written by this installer",
                place=_PLACE,
                fix="move it away first; settings of your own belong in a drop-in (systemctl edit tea-runtime)",
            )
    if args.dry_run:
        _show(plan, args, console)
        return 0
    _check_possible(args)
    replaced = [planned for planned, verdict in verdicts.items() if verdict == "replace"]
    if replaced and not args.root:
        _run(plan.stop, console)
    for planned, verdict in verdicts.items():
        if verdict in ("write", "replace"):
            _write(_below(args.root, planned.path), planned.text)
        console.err(f"{_PAST[verdict]} {_below(args.root, planned.path)}")
    if args.root:
        return 0
    _run(plan.prepare, console)
    if not args.no_start:
        _run(plan.start, console)
    console.err(f"see it with: tea runtime status{'' if args.user else f' --socket {plan.socket}'}")
    if args.user:
        console.err("it ends when you log out; this keeps it running: loginctl enable-linger")
    return 0


def uninstall(args: argparse.Namespace, console: Console) -> int:
    """Stop, disable, remove what an installer wrote."""
    from the_edge_agent.cli.runtime_install_plan import UNITS, may_remove

    plan = _plan(args, ("tea",))
    lying = {planned: _read(_below(args.root, planned.path)) for planned in plan.files}
    ours = [planned for planned, text in lying.items() if may_remove(planned, text)]
    systemctl = ("systemctl", "--user") if args.user else ("systemctl",)
    disable = ((*systemctl, "--quiet", "disable", *UNITS),)
    if args.dry_run:
        for planned in ours:
            console.out(f"remove {_below(args.root, planned.path)}")
        return 0
    _check_possible(args)
    if any(planned.path.name in UNITS for planned in ours) and not args.root:
        _run((*plan.stop, *disable), console)
    for planned in ours:
        _below(args.root, planned.path).unlink()
        console.err(f"removed {_below(args.root, planned.path)}")
    for planned, text in lying.items():
        if text is not None and planned not in ours:
            console.err(f"kept {_below(args.root, planned.path)}")
    if ours and not args.root:
        _run(((*systemctl, "daemon-reload"),), console)
    if args.system:
        console.err("kept /var/lib/tea (models and runs) and the group tea")
    return 0


def this_tea(named: Path | None) -> tuple[str, ...]:
    """The words that start this very program: --tea, the AppImage, the script that runs, or the interpreter.

    Raises:
        UsageError: --tea names no program.
    """
    from the_edge_agent.settings import load_settings

    if named is not None:
        if not named.is_absolute():
            raise UsageError(f"--tea is {str(named)!r}", place=_PLACE, fix="give the whole path, from /")
        return (str(named),)
    if appimage := load_settings().environ.get("APPIMAGE"):
        return (appimage,)
    script = Path(sys.argv[0])
    found = (
        str(script) if script.is_absolute() else shutil.which(sys.argv[0]) if script.name == "tea" else None
    )
    if found and Path(found).name == "tea" and os.access(found, os.X_OK):
        return (os.path.abspath(found),)  # noqa: PTH100 - a symlink stays one: it may be what an upgrade moves
    return (sys.executable, "-m", "the_edge_agent")


def _plan(args: argparse.Namespace, command: Sequence[str]) -> InstallPlan:
    from the_edge_agent.cli.runtime_install_plan import plan_system, plan_user
    from the_edge_agent.settings import load_settings

    environ = load_settings().environ
    appimage = bool(environ.get("APPIMAGE")) and command[0] == environ.get("APPIMAGE")
    try:
        if args.system:
            return plan_system(command, appimage=appimage)
        return plan_user(command, environ, Path(environ.get("HOME") or Path.home()), appimage=appimage)
    except ValueError as error:
        raise UsageError(str(error), place=_PLACE, fix="move tea to a path without one") from None


def _check_possible(args: argparse.Namespace) -> None:
    if args.root:
        return
    if not Path("/run/systemd/system").is_dir():
        raise UnsupportedFeature(
            "this machine wasn't started by systemd",
            place=_PLACE,
            fix="start `tea runtime serve` with what starts services here, or write the files for another system with --root",
        )
    if args.system and os.geteuid() != 0:
        raise UsageError("--system needs root", place=_PLACE, fix="use sudo, or --user")


def _show(plan: InstallPlan, args: argparse.Namespace, console: Console) -> None:
    from the_edge_agent.cli.runtime_install_plan import decide

    for planned in plan.files:
        path = _below(args.root, planned.path)
        verdict = decide(planned, _read(path))
        console.out(f"# {verdict} {path}")
        if verdict in ("write", "replace"):
            console.out(planned.text)
    if not args.root:
        for command in (*plan.prepare, *(() if args.no_start else plan.start)):
            console.out(" ".join(command))


def _below(root: Path | None, path: Path) -> Path:
    return path if root is None else root / path.relative_to(path.anchor)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceInstallFailed(f"{path} can't be read: {error}", place=_PLACE) from None


def _write(path: Path, text: str) -> None:
    """In one step, so that systemd never reads half a unit."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ServiceInstallFailed(f"{path} can't be written: {error.strerror}", place=_PLACE) from None


def _run(commands: Sequence[Sequence[str]], console: Console) -> None:
    for command in commands:
        console.err(f"+ {' '.join(command)}")
        try:
            done = subprocess.run(  # noqa: S603 - the plan's own commands
                command, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise ServiceInstallFailed(
                f"{command[0]} isn't there", place=_PLACE, fix="it is part of the package systemd"
            ) from None
        if done.returncode != 0:
            raise ServiceInstallFailed(
                f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[-2000:]}",
                place=_PLACE,
                fix="journalctl -u tea-runtime says more (with --user for a user's service)",
            )


_PAST = {"write": "wrote", "replace": "replaced", "unchanged": "unchanged", "keep": "kept"}
