"""What the store's tests share."""

from __future__ import annotations

import pytest

from the_edge_agent.store.places import StorePlaces


@pytest.fixture
def places(tmp_path):
    return StorePlaces(tmp_path / "store", tmp_path / "hub")
