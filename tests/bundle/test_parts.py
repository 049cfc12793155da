"""An artifact goes through a host that takes small files and comes out as it was, or the damaged part is named."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from the_edge_agent.bundle.checksums import check_sums, read_sums, write_sums
from the_edge_agent.bundle.parts import find_parts, join_parts, split_file
from the_edge_agent.errors import BundleFailed, DigestMismatch, UsageError


@pytest.fixture
def artifact(tmp_path) -> Path:
    path = tmp_path / "my agent.AppImage"
    path.write_bytes(random.Random(1).randbytes(2_500_000))
    return path


def test_parts_join_to_the_same_bytes(artifact, tmp_path) -> None:
    split_file(artifact, tmp_path / "parts", 1_000_000)
    first = tmp_path / "parts" / "my agent.AppImage.part-001-of-003"
    joined = join_parts(first)
    assert joined.read_bytes() == artifact.read_bytes()
    assert joined.stat().st_mode & 0o111


def test_any_part_finds_the_others(artifact, tmp_path) -> None:
    split_file(artifact, tmp_path, 1_000_000)
    parts = find_parts(tmp_path / "my agent.AppImage.part-002-of-003")
    assert [part.path.stat().st_size for part in parts] == [1_000_000, 1_000_000, 500_000]


def test_the_script_joins_where_no_tea_is(artifact, tmp_path) -> None:
    split_file(artifact, tmp_path / "parts", 1_000_000)
    script = tmp_path / "parts" / "join-my agent.AppImage.sh"
    subprocess.run(["sh", script], check=True, cwd="/", env={"PATH": "/usr/bin:/bin"})
    assert (tmp_path / "parts" / artifact.name).read_bytes() == artifact.read_bytes()


def test_the_script_refuses_a_damaged_part(artifact, tmp_path) -> None:
    split_file(artifact, tmp_path / "parts", 1_000_000)
    flip(tmp_path / "parts" / "my agent.AppImage.part-002-of-003", 77)
    done = subprocess.run(
        ["sh", tmp_path / "parts" / "join-my agent.AppImage.sh"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "damaged" in done.stderr
    assert not (tmp_path / "parts" / artifact.name).exists()


def test_a_damaged_part_is_named_and_nothing_is_left(artifact, tmp_path) -> None:
    split_file(artifact, tmp_path / "parts", 1_000_000)
    flip(tmp_path / "parts" / "my agent.AppImage.part-003-of-003", 5)
    with pytest.raises(DigestMismatch, match="part-003-of-003"):
        join_parts(tmp_path / "parts" / "my agent.AppImage.part-001-of-003")
    assert not list((tmp_path / "parts").glob("*.joining"))
    assert not (tmp_path / "parts" / artifact.name).exists()


def test_a_missing_part_is_named(artifact, tmp_path) -> None:
    split_file(artifact, tmp_path / "parts", 1_000_000)
    (tmp_path / "parts" / "my agent.AppImage.part-002-of-003").unlink()
    with pytest.raises(BundleFailed, match="part-002-of-003"):
        join_parts(tmp_path / "parts" / "my agent.AppImage.part-001-of-003")


def test_a_file_that_is_small_enough_is_not_split(artifact, tmp_path) -> None:
    with pytest.raises(UsageError, match="1 parts"):
        split_file(artifact, tmp_path / "parts")


def test_sha256sum_reads_the_sums(artifact, tmp_path) -> None:
    split_file(artifact, tmp_path, 1_000_000)
    subprocess.run(["sha256sum", "--strict", "--status", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)
    assert check_sums(tmp_path / "SHA256SUMS") == ()


def test_artifacts_of_one_folder_share_the_sums(tmp_path) -> None:
    write_sums(tmp_path, {"b": "b" * 64})
    write_sums(tmp_path, {"a": "a" * 64, "b": "c" * 64})
    assert read_sums(tmp_path / "SHA256SUMS") == {"a": "a" * 64, "b": "c" * 64}


def test_a_line_that_is_no_checksum_is_named(tmp_path) -> None:
    (tmp_path / "SHA256SUMS").write_text("0" * 64 + "  a\nnonsense\n")
    with pytest.raises(BundleFailed, match="SHA256SUMS:2"):
        read_sums(tmp_path / "SHA256SUMS")


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
