"""The browser's model cache in Firefox ESR."""

from __future__ import annotations

import pytest
from tests.e2e.web import scenarios

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", scenarios.names("firefox.js"))
def test_in_firefox(name: str) -> None:
    scenarios.run("firefox.js", name)
