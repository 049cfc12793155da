"""Built on x86, run on ARM: the same commands with --arch aarch64, tried under QEMU."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from tests.e2e.bundle.conftest import AGENT, QUESTION, bundle
from tests.e2e.bundle.emulated import run_aarch64
from tests.e2e.bundle.small_image import make_image

from the_edge_agent.bundle.elf import machine_of
from the_edge_agent.bundle.variants import ARCHITECTURES

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="it is about building on x86"),
]
ARM = ARCHITECTURES["aarch64"]


@pytest.mark.parametrize("environ", [{}, {"APPIMAGE_EXTRACT_AND_RUN": "1"}], ids=["mounted", "unpacked"])
def test_the_runtime_runs_its_program(environ, tmp_path: Path) -> None:
    image = make_image(tmp_path, '#!/bin/sh\necho "in $APPDIR: $*"\nexit 5\n', arch=ARM)
    assert machine_of(image) == ARM.elf_machine
    done = run_aarch64(image, "a", "b", home=tmp_path, TMPDIR=str(tmp_path), **environ)
    assert done.returncode == 5, done.stderr
    assert done.stdout.endswith(": a b\n")


def test_the_bundled_agent_answers_on_arm(tmp_path: Path) -> None:
    image = tmp_path / "arm.AppImage"
    bundle("appimage", AGENT, "--arch", "aarch64", "--line", "lite", "--output", image)
    about = run_aarch64(image, "--impl", "--features", home=tmp_path)
    assert about.returncode == 0, about.stderr
    assert "platform: Linux aarch64" in about.stdout
    assert "llm-local: yes" in about.stdout
    done = run_aarch64(image, "run", "--no-log", *QUESTION, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4" in done.stdout
