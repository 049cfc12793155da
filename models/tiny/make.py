"""The embedded model from nothing: tokenizer and training, export, evaluation into the model card.

    python models/tiny/make.py                    # the committed model's recipe, about two hours on one core
    python models/tiny/make.py --minutes 10       # a quick one

Training runs under this interpreter (see requirements.txt), the evaluation under the project's `.venv`, where llama.cpp is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def has_bf16() -> bool:
    """Whether this CPU multiplies in bfloat16; half as long a training where it does."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument(
        "--target", type=Path, default=ROOT / "src" / "the_edge_agent" / "store" / "embedded" / "tiny.gguf"
    )
    options = parser.parse_args()
    # Idle OpenMP threads that spin take the core from those that work.
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    shutil.rmtree(ROOT / "build" / "tiny", ignore_errors=True)
    evaluator = ROOT / ".venv" / "bin" / "python"
    steps = (
        [
            sys.executable,
            HERE / "train.py",
            "--compile",
            *(["--bf16"] if has_bf16() else []),
            f"--minutes={options.minutes}",
            f"--decay-minutes={options.minutes * 0.7}",
        ],
        [sys.executable, HERE / "export.py", f"--target={options.target}"],
        [
            evaluator if evaluator.exists() else sys.executable,
            HERE / "card.py",
            f"--gguf={options.target}",
        ],
    )
    for step in steps:
        subprocess.run([str(part) for part in step], check=True, env=environment)


if __name__ == "__main__":
    main()
