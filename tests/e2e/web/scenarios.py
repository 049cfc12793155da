"""Scenarios of web/tests/e2e, which drive a real Chromium from Node, as tests of pytest: one test a scenario."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping

from tests.e2e.web.build import WEB


def names(file: str) -> list[str]:
    """The scenarios of a file, in its order."""
    text = (WEB / "tests/e2e" / file).read_text(encoding="utf-8")
    return re.findall(r'^scenario\(\s*"([^"]+)"', text, flags=re.MULTILINE)


def run(file: str, name: str, environ: Mapping[str, str] | None = None) -> None:
    """Run one scenario; fails with what it printed."""
    node = shutil.which("node")
    assert node, "node is missing: sudo make system-deps"
    assert (WEB / "node_modules").is_dir(), f"run `npm install` in {WEB}"
    done = subprocess.run(
        [node, f"tests/e2e/{file}", name],
        cwd=WEB, env=environ, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
