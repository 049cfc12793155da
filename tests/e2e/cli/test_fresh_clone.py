"""What a newcomer does: clone, `make demo`, read the answer. A fresh HOME, nothing cached, no variable of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.e2e
@pytest.mark.timeout(1500)
def test_a_fresh_clone_answers_after_make_demo(tmp_path: Path) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        # A make above this test would hand its own flags down, and its messages would end the output.
        if not name.startswith(("TEA_", "XDG_", "VIRTUAL_ENV", "MAKE", "MFLAGS"))
    }
    environment["HOME"] = str(home)
    done = subprocess.run(
        ["make", "demo", f"PYTHON={Path(sys.base_prefix) / 'bin' / 'python3'}"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "4" in done.stdout.splitlines()[-1]
    assert (
        subprocess.run(
            ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
        ).stdout
        == ""
    )
    anywhere = subprocess.run(
        [clone / ".venv/bin/tea", "run", clone / "examples/llm/hello-world.yaml"],
        cwd=tmp_path,
        env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert anywhere.stdout.strip(), anywhere.stderr
