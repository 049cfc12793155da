"""One AppImage of the example agent, built once for all tests here, by the command that people use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
AGENT = ROOT / "examples" / "llm" / "local-chat.yaml"
QUESTION = ("--input", '{"question": "What is 2+2?"}')


def bundle(*arguments: str | Path, environ: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run ``tea bundle …`` to its end; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "the_edge_agent.cli", "bundle", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **(environ or {})},
        cwd=cwd,
        timeout=3_000,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def appimage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The full line with the embedded model. TEA_E2E_APPIMAGE names one that was built before."""
    built = os.environ.get("TEA_E2E_APPIMAGE")
    if built:
        return Path(built)
    target = tmp_path_factory.mktemp("appimage") / "local-chat.AppImage"
    bundle("appimage", AGENT, "--model", "embedded", "--output", target)
    return target
