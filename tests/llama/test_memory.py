"""Loading and answering again and again leaves the process as large as it was. In a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rounds import rounds

ROOT = Path(__file__).resolve().parents[2]
ALLOWED_BYTES = 8_000_000
COUNTS = {"cycles": rounds(60, 200, 1000), "requests": rounds(300, 2000, 10_000)}


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", COUNTS)
def test_memory_does_not_grow(what: str, tiny_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "bench.inference_memory",
        what,
        tiny_path,
        json.dumps({"rounds": COUNTS[what]}),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    with capsys.disabled():
        print(
            f"\n{COUNTS[what]:,} {what}: {figures['growth'] / 1e6:.2f} MB more after the first tenth, "
            f"{figures['rss'] / 1e6:.0f} MB resident"
        )
    assert figures["growth"] < ALLOWED_BYTES
