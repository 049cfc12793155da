"""A run that may not take for ever: with ``TESTS_MINUTES`` set, tests whose turn comes later are skipped and say so."""

from __future__ import annotations

import os
import time

import pytest

_STARTED = time.monotonic()


def pytest_runtest_setup(item: pytest.Item) -> None:
    minutes = os.environ.get("TESTS_MINUTES", "")
    if minutes and time.monotonic() - _STARTED > float(minutes) * 60:
        pytest.skip(f"not run: the {minutes} minutes for this run are over")
