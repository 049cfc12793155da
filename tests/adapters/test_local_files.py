import asyncio
import os
from pathlib import Path

import pytest

from the_edge_agent.adapters.local_files import LocalFiles
from the_edge_agent.errors import FileActionFailed, PermissionDenied

FILES = LocalFiles()


def read(path: object, *roots: object, max_bytes: int = 1000) -> bytes:
    return asyncio.run(FILES.read(str(path), roots=[str(root) for root in roots], max_bytes=max_bytes))


def write(path: object, data: bytes, *roots: object, append: bool = False) -> None:
    asyncio.run(FILES.write(str(path), data, roots=[str(root) for root in roots], append=append))


def test_a_file_below_a_root_is_written_and_read(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b.txt", b"one", tmp_path)
    write(tmp_path / "a" / "b.txt", b" two", tmp_path, append=True)
    assert read(tmp_path / "a" / "b.txt", tmp_path) == b"one two"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


@pytest.mark.parametrize(
    "path", ["../out.txt", "a/../../out.txt", "/etc/passwd", "link/out.txt", "link", "file-link"]
)
def test_a_path_that_leads_out_of_the_roots_is_refused(tmp_path: Path, path: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (tmp_path / "out.txt").write_text("secret")
    (outside / "out.txt").write_text("secret")
    (root / "link").symlink_to(outside)
    (root / "file-link").symlink_to(outside / "out.txt")
    for act in (lambda: read(root / path, root), lambda: write(root / path, b"x", root)):
        with pytest.raises(PermissionDenied, match="may not touch"):
            act()
    assert (outside / "out.txt").read_text() == "secret"
    assert (tmp_path / "out.txt").read_text() == "secret"


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("x")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    assert read(tmp_path / "link.txt", tmp_path) == b"x"


def test_without_roots_nothing_is_open(tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied):
        write(tmp_path / "x", b"")


def test_a_file_larger_than_allowed_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 101)
    assert len(read(tmp_path / "big", tmp_path, max_bytes=101)) == 101
    with pytest.raises(FileActionFailed, match="more than 100 bytes"):
        read(tmp_path / "big", tmp_path, max_bytes=100)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "missing", "a\0b"):
        with pytest.raises(FileActionFailed):
            read(tmp_path / name, tmp_path)
    with pytest.raises(FileActionFailed):
        write(tmp_path, b"x", tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileActionFailed):
        write(tmp_path / "a.txt" / "b.txt", b"x", tmp_path)
    with pytest.raises(FileActionFailed):
        write(tmp_path / "folder", b"x", tmp_path)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "folder"]


def test_an_overwritten_file_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "run.sh"
    target.write_text("old")
    target.chmod(0o750)
    write(target, b"new", tmp_path)
    assert target.stat().st_mode & 0o777 == 0o750
