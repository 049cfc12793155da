"""The web package as it is built: checked, typed, small, without dependencies, and with nobody else's addresses."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.e2e.web import build

pytestmark = pytest.mark.e2e

MOST_BYTES = 25_000_000


@pytest.mark.timeout(900)
@pytest.mark.parametrize("task", ["check", "test"])
def test_its_sources_pass_the_compiler_the_linter_and_their_own_tests(task: str):
    web = build.package()
    npm = shutil.which("npm")
    assert npm
    done = subprocess.run(
        [npm, "run", task], cwd=web, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_it_needs_no_other_package():
    stated = json.loads((build.package() / "package.json").read_text())
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & set(stated)


def test_its_types_stand_beside_it():
    types = build.package() / "dist/types"
    names = (types / "index.d.ts").read_text()
    for name in (
        "initTeaLlm",
        "initLlm",
        "executeLlmYaml",
        "chat",
        "chatStream",
        "embed",
        "clearCache",
        "cacheStatus",
    ):
        assert f"function {name}(" in names, name


def test_the_lock_file_names_no_host():
    assert "resolved" not in (build.package() / "package-lock.json").read_text()


def test_packed_it_is_at_most_25_megabytes():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(build.package() / "dist", "dist")
    assert packed.tell() <= MOST_BYTES


def test_the_snapshot_holds_no_path_of_the_machine_that_made_it():
    snapshot = gzip.decompress((build.package() / "dist/engine.snapshot.gz").read_bytes())
    assert str(build.ROOT).encode() not in snapshot
    assert not re.search(rb"/home/(?!pyodide)[a-z]+/", snapshot.replace(b"/home/web_user/", b""))


def test_the_snapshot_is_twice_the_same(tmp_path: Path):
    web = build.package()
    node = shutil.which("node")
    assert node
    shutil.copytree(web / "dist/pyodide", tmp_path / "pyodide")
    shutil.copy(web / "dist/engine.zip", tmp_path)
    subprocess.run(
        [node, "snapshot.mjs", str(tmp_path)], cwd=web, check=True, capture_output=True, timeout=200
    )
    again = (tmp_path / "engine.snapshot.gz").read_bytes()
    assert again == (web / "dist/engine.snapshot.gz").read_bytes()
