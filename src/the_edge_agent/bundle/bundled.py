"""From inside a bundle: which agents it holds. Reads the bundle's own lock; knows nothing of building."""

from __future__ import annotations

from pathlib import Path

from the_edge_agent.bundle import layout
from the_edge_agent.bundle.lock import BundleLock, load_lock


def open_bundle(appdir: Path | None) -> BundleLock | None:
    """The lock of the bundle this runs in; None outside of one. Raises BundleFailed where it is damaged."""
    if appdir is None or not (appdir / layout.LOCK).is_file():
        return None
    return load_lock(appdir / layout.LOCK)


def bundled_agent(appdir: Path | None, name: str | None = None) -> Path | None:
    """The file of the bundle's agent of that name, or of its first one; None where there is none."""
    lock = open_bundle(appdir)
    if lock is None or appdir is None:
        return None
    for agent in lock.agents:
        if name is None or agent.name == name:
            return appdir / agent.path
    return None
