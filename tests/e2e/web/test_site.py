"""The site that `tea bundle web` makes, in a real Chromium: chat, agents, offline, with and without the headers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.e2e.web import build, scenarios

pytestmark = pytest.mark.e2e

MOST_BYTES = 25_000_000


def bundle(*arguments: str) -> None:
    command = [sys.executable, "-m", "the_edge_agent.cli", "bundle", "web", "--quiet", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build.package()
    folder = tmp_path_factory.mktemp("web") / "site"
    bundle("--output", str(folder))
    return folder


@pytest.mark.parametrize("name", scenarios.names("site.js"))
def test_in_chromium(name: str, site: Path) -> None:
    scenarios.run("site.js", name, {**os.environ, "TEA_SITE": str(site)})


def test_the_archive_without_a_model_is_at_most_25_megabytes_and_twice_the_same(tmp_path: Path) -> None:
    build.package()
    archives = [tmp_path / name / "site.tar.gz" for name in ("one", "two")]
    for archive in archives:
        bundle("--model", "none", "--output", str(archive))
    assert archives[0].stat().st_size <= MOST_BYTES
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as packed:
        member = packed.extractfile("tea-wasm-llm-0.1.0/site.json")
        assert member
        assert json.load(member)["models"] == []
