"""``tea runtime status | ps | load | unload | logs | stop``: the verbs that ask a daemon that runs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from the_edge_agent.cli.runtime_call import ask_daemon

if TYPE_CHECKING:
    from the_edge_agent.cli.console import Console

#: The longest ``shutdown_s`` there is, and then some.
STOP_S = 3700.0


def status(args: argparse.Namespace, console: Console) -> int:
    """Show everything."""
    from the_edge_agent.cli.text import format_bytes, format_seconds

    tree = ask_daemon(args, "GET", "/edge/v1/status")
    if args.json:
        console.json(tree)
        return 0
    console.out(
        f"{'ready' if tree['ready'] else 'starting'}, version {tree['version']}, up {format_seconds(tree['uptime_s'])}"
    )
    standby = tree.get("standby") or {"pid": 0}  # a daemon that was started before an upgrade doesn't tell
    beside = f", and {format_bytes(standby['size_bytes'])} stand by" if standby["pid"] else ""
    console.out(f"memory {format_bytes(tree['used_bytes'])} of {format_bytes(tree['memory_bytes'])}{beside}")
    console.out(f"queue {tree['queue']} of {tree['queue_size']}, {tree['tokens_per_s']:g} tokens/s")
    _print_models(console, tree["models"])
    return 0


def ps(args: argparse.Namespace, console: Console) -> int:
    """Show the loaded models."""
    tree = ask_daemon(args, "GET", "/edge/v1/status")
    loaded = [model for model in tree["models"] if model["pid"]]
    if args.json:
        console.json(loaded)
    else:
        _print_models(console, loaded)
    return 0


def load(args: argparse.Namespace, console: Console) -> int:
    """Load a model."""
    return _change(args, console, "load")


def unload(args: argparse.Namespace, console: Console) -> int:
    """Unload a model."""
    return _change(args, console, "unload")


def logs(args: argparse.Namespace, console: Console) -> int:
    """Print a worker's last lines."""
    name = args.model
    if name is None:
        models = ask_daemon(args, "GET", "/edge/v1/status")["models"]
        name = models[0]["name"] if models else ""
    lines = ask_daemon(args, "GET", f"/edge/v1/logs/{quote(name, safe='')}")["lines"]
    if args.json:
        console.json(lines)
    else:
        for line in lines:
            console.out(line)
    return 0


def stop(args: argparse.Namespace, console: Console) -> int:
    """Stop the daemon and wait until its process is gone."""
    import time

    from the_edge_agent.errors import BackendTimeout

    pid = ask_daemon(args, "POST", "/edge/v1/stop", {"force": args.force})["pid"]
    give_up_s = time.monotonic() + STOP_S
    while _is_running(pid):
        if time.monotonic() > give_up_s:
            raise BackendTimeout(f"its process {pid} still runs", place="tea runtime stop", fix="see its log")
        time.sleep(0.02)
    console.json({"stopped": True}) if args.json else console.err("stopped")
    return 0


def _change(args: argparse.Namespace, console: Console, verb: str) -> int:
    tree = ask_daemon(args, "POST", f"/edge/v1/{verb}", {"model": args.model}, answer_s=None)
    if args.json:
        console.json(tree)
    else:
        console.err(f"{tree['name']}: {tree['phase']}")
    return 0


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is there
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # no Linux, or it has just ended: the next look tells
    return state != "Z"  # that one has ended, and whoever started it hasn't looked


def _print_models(console: Console, models: list[dict[str, Any]]) -> None:
    from the_edge_agent.cli.text import format_bytes

    console.table(
        ("NAME", "LEVEL", "STATE", "MEMORY", "ACTIVE", "WAITING", "ANSWERED", "RESTARTS"),
        [
            (
                model["name"],
                model["level"],
                model["phase"],
                format_bytes(model["size_bytes"]) if model["pid"] else "-",
                f"{model['active']}/{model['slots']}",
                str(model["waiting"]),
                str(model["requests"]),
                str(model["crashes"]),
            )
            for model in models
        ],
    )
    for model in models:
        if model["failure"]:
            console.out(f"{model['name']}: {model['failure']}")
