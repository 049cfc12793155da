"""One file, any Linux: three Debians and a root without a C library, as root and not, with FUSE and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.bundle.clean_root import CleanRoot, busybox_root, debian_root
from tests.e2e.bundle.conftest import QUESTION

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_500)]

ROOTS = ("bullseye", "bookworm", "trixie", "busybox")
USERS = {"root": 0, "somebody": 1234}


def root_of(name: str) -> CleanRoot:
    return busybox_root() if name == "busybox" else debian_root(name)


@pytest.mark.parametrize("fuse", [True, False], ids=["fuse", "no-fuse"])
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", ROOTS)
def test_the_bundled_agent_answers_in_a_clean_root(appimage: Path, name: str, user: str, fuse: bool) -> None:
    done = root_of(name).run(appimage, "run", *QUESTION, fuse=fuse, user=USERS[user])
    assert done.code == 0, done.err
    assert "4" in done.out
    assert ("unpacking" in done.err) is not fuse


@pytest.mark.parametrize("name", ROOTS)
def test_it_answers_somebody_whose_home_is_read_only(appimage: Path, name: str) -> None:
    done = root_of(name).run(
        appimage, "run", "--no-log", *QUESTION, user=USERS["somebody"], read_only_home=True
    )
    assert done.code == 0, done.err
    assert "4" in done.out


def test_without_fuse_it_says_that_it_unpacks(appimage: Path) -> None:
    done = root_of("busybox").run(appimage, "--version", fuse=False)
    assert done.code == 0
    assert done.out.startswith("tea ")
    assert "FUSE can't be used here; unpacking" in done.err


def test_nothing_is_left_in_tmp(appimage: Path) -> None:
    script = '"$0" --version; for i in 1 2 3 4 5 6 7 8 9; do ls -A /tmp | grep -q "mount_\\|extracted" || exit 0; sleep 1; done; ls -A /tmp; exit 1'
    for fuse in (True, False):
        done = root_of("bookworm").run(appimage, fuse=fuse, through=("sh", "-c", script))
        assert done.code == 0, done.out


def test_it_lists_what_it_is_made_of(appimage: Path) -> None:
    done = root_of("busybox").run(appimage, "--impl", "--features")
    assert done.code == 0, done.err
    assert "llm-local: yes" in done.out
    assert "tiny.gguf" in done.out


def test_without_words_it_runs_the_bundled_agent(appimage: Path) -> None:
    done = root_of("busybox").run(appimage)
    assert done.code == 2
    assert "input.question: is missing" in done.err
