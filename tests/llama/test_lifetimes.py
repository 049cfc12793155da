"""No order of closing, no thread and no exception can crash the process: each scenario runs in one of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.rounds import rounds

SCRIPT = Path(__file__).with_name("lifetimes.py")
SCENARIOS = {
    "every_order": rounds(1, 4, 20),
    "from_threads": rounds(12, 60, 500),
    "with_exceptions": rounds(3, 20, 100),
    "never_closed": rounds(5, 30, 200),
    "in_sinks": rounds(5, 30, 200),
}


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_closing_in_any_way_never_crashes(scenario: str, tiny_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-W",
            "error",
            SCRIPT,
            tiny_path,
            scenario,
            str(SCENARIOS[scenario]),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "survived\n"
    assert done.stderr == ""
