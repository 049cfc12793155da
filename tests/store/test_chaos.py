"""Pulls under random faults and random kill -9, with real processes. ROUNDS sets how many."""

from __future__ import annotations

import pytest
from tests.rounds import rounds

from the_edge_agent.testing.chaos_download import run_chaos


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_every_pull_ends_in_the_right_file_or_a_typed_error_whatever_dies(tmp_path):
    report = run_chaos(tmp_path / "round", rounds(12, 60, 500), seed=2026)
    assert report.wrong_files == 0
    assert report.chunks_fetched_twice == 0
    assert report.untyped_errors == []
    assert report.paths_outside == 0
    assert report.succeeded > report.rounds / 2
    assert report.kills > 0
    assert sum(report.faults.values()) > 0
