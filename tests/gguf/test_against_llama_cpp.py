"""Our reader beside llama.cpp's own: as strict on everything that is mutated, as open to everything that is sound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rounds import rounds

from the_edge_agent.gguf import read_header
from the_edge_agent.store.locate import embedded_model_path

ROOT = Path(__file__).resolve().parents[2]


def ggml_library() -> Path:
    folder = Path(os.environ.get("TEA_LLAMA_LIB") or Path(sys.prefix) / "lib" / "tea-llama")
    return next(iter(sorted(folder.glob("libggml-base.*"))), folder / "libggml-base.so")


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_whatever_we_take_llama_cpp_takes_too(tmp_path):
    command = [
        sys.executable,
        "-m",
        "tests.gguf.against_llama_cpp",
        ggml_library(),
        "7",
        str(rounds(1500, 10_000, 100_000)),
    ]
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run(
        [*map(str, command), str(tmp_path)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.split("\n")
    assert [line for line in lines if line.startswith("refused")] == []
    assert any(line.startswith("taken") and int(line.split()[1]) > 50 for line in lines)


def test_the_embedded_model_is_sound():
    header = read_header(embedded_model_path())
    assert header.architecture == "llama"
    assert header.context_length == 2048
    assert header.quantization == "Q8_0"
    assert header.chat_template
    assert header.license == "Apache-2.0"
