"""The web package's whole API in Debian's Chromium: chat, embeddings, agents, what is kept, and what goes wrong."""

from __future__ import annotations

import pytest
from tests.e2e.web import build, scenarios

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", scenarios.names("engine.js"))
def test_in_chromium(name: str) -> None:
    build.package()
    scenarios.run("engine.js", name)
