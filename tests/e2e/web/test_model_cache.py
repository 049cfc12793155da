"""The browser's model cache on real storage: OPFS, IndexedDB and memory of Chromium, quotas, tabs and broken lines."""

from __future__ import annotations

import pytest
from tests.e2e.web import scenarios

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", scenarios.names("cache.js"))
def test_in_chromium(name: str) -> None:
    scenarios.run("cache.js", name)
