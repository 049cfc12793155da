"""How long the long checks run: ``ROUNDS`` is small (make test), middle (make e2e) or full (make soak)."""

from __future__ import annotations

import os


def rounds(small: int, middle: int, full: int) -> int:
    """The number for this run. A test that calls this carries ``@pytest.mark.long``."""
    choice = os.environ.get("ROUNDS", "small")
    if choice.isdigit():
        return int(choice)
    return {"small": small, "middle": middle, "full": full}[choice]
