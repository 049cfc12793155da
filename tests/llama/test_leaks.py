"""LeakSanitizer follows every allocation of libllama and its wrappers: nothing is left that nobody can reach.

It works on the ordinary build, without valgrind's limits on instruction sets.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rounds import rounds

ROOT = Path(__file__).resolve().parents[2]
FOUND = 23


@pytest.fixture(scope="module")
def sanitizer() -> str:
    if not sys.platform.startswith("linux"):
        pytest.skip("LeakSanitizer is preloaded on Linux only")
    done = subprocess.run(["gcc", "-print-file-name=liblsan.so"], capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip())
    assert path.is_absolute(), "gcc has no liblsan; install libgcc's development files"
    return str(path)


def run(sanitizer: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "LD_PRELOAD": sanitizer,
        "LSAN_OPTIONS": f"exitcode={FOUND}",
        "PYTHONMALLOC": "malloc",
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.llama.leaks", *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.long
def test_nothing_is_left_behind_when_everything_was_closed(sanitizer, tiny_path):
    done = run(sanitizer, tiny_path, rounds(3, 20, 200))
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr[-4000:]


def test_a_model_that_was_never_freed_would_be_found(sanitizer, tiny_path):
    done = run(sanitizer, tiny_path, 1, "forget")
    assert done.returncode == FOUND
    assert "libllama" in done.stderr
