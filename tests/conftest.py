"""What holds for every test: Ctrl-C is heard, and a run may be bounded.

With ``TESTS_MINUTES`` set, tests whose turn comes later are skipped and say so.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

_STARTED = time.monotonic()

# A shell that starts this run in the background has it ignore Ctrl-C, and every child of it would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    minutes = os.environ.get("TESTS_MINUTES", "")
    if minutes and time.monotonic() - _STARTED > float(minutes) * 60:
        pytest.skip(f"not run: the {minutes} minutes for this run are over")
