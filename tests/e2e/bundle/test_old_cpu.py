"""One file, every CPU: the first x86-64 gets the same answer, and a sentence that says why it takes longer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.e2e.bundle.conftest import QUESTION

from the_edge_agent.bundle import layout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def tree(appimage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extracted")
    subprocess.run([appimage, "--appimage-extract"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "squashfs-root"


def run_on(cpu: str, tree: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What the launcher does, under an emulator of that CPU (a child would leave it, so the launcher can't be used)."""
    return subprocess.run(
        [
            "qemu-x86_64-static", "-cpu", cpu, tree / layout.LOADER, "--inhibit-cache",
            "--library-path", tree / layout.BASE, "--argv0", tree / layout.PYTHON, tree / layout.INTERPRETER,
            "-m", "the_edge_agent.cli", *arguments,
        ],
        capture_output=True, text=True, timeout=600, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "APPDIR": str(tree)},
    )  # fmt: skip


def test_a_cpu_without_avx_answers_and_says_that_it_is_slow(tree: Path, tmp_path: Path) -> None:
    done = run_on("qemu64", tree, "run", "--no-log", *QUESTION, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4" in done.stdout
    assert "this CPU has no AVX2" in done.stderr


def test_this_machine_takes_the_variant_made_for_it_without_a_word(tree: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [tree / "AppRun", "run", "--no-log", "-q", *QUESTION],
        capture_output=True, text=True, timeout=300, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_bundle_without_a_variant_for_this_cpu_says_so(tree: Path, tmp_path: Path) -> None:
    """As if the oldest variants had been left out: what is left needs more than the CPU has."""
    hidden = [path for path in (tree / layout.LLAMA).glob("libggml-cpu-*") if "x64" in path.name]
    for path in hidden:
        path.rename(path.with_suffix(".hidden"))
    try:
        done = run_on("qemu64", tree, "run", "--no-log", *QUESTION, home=tmp_path)
    finally:
        for path in hidden:
            path.with_suffix(".hidden").rename(path)
    assert done.returncode == 1
    assert "this CPU is too old for every variant of ggml that is here" in done.stderr
