"""A model of gigabytes goes into one file, answers from there, travels in parts, and comes out whole."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.e2e.bundle.conftest import AGENT, QUESTION, bundle
from tests.rounds import rounds

from the_edge_agent.bundle.check import check_artifact
from the_edge_agent.store.locate import embedded_model_path

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(3_600)]

PIECE = 1 << 26


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with gigabytes behind its tensors, which no reader minds and every copy has to carry."""
    path = tmp_path_factory.mktemp("model") / "big.gguf"
    shutil.copyfile(embedded_model_path(), path)
    noise = random.Random(3).randbytes(PIECE)
    megabytes = rounds(300, 4_500, 4_500)
    with path.open("ab") as file:
        for number in range(megabytes * 1_000_000 // PIECE):
            file.write(number.to_bytes(8, "little") + noise[8:])
    return path


def test_a_big_model_bundles_runs_splits_and_joins(model: Path, tmp_path: Path) -> None:
    image = tmp_path / "big.AppImage"
    bundle("appimage", AGENT, "--line", "lite", "--model", model, "--output", image)
    size = model.stat().st_size
    model.unlink()  # nothing may need it any more
    assert image.stat().st_size > size

    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [image, "run", "--no-log", *QUESTION],
        capture_output=True,
        text=True,
        env=environ,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4" in done.stdout

    offset = image.stat().st_size - 20_000_000  # far behind 32 bits, where the file is big enough
    flip(image, offset)
    (bad,) = check_artifact(image).bad
    flip(image, offset)
    assert "the model big.gguf" in str(bad)
    assert bad.chunk.offset <= offset < bad.chunk.end

    part_bytes = min(1_900_000_000, image.stat().st_size // 2)
    listed = bundle(
        "split", image, "--output", tmp_path / "parts", "--part-size", str(part_bytes)
    ).splitlines()
    assert all(Path(path).stat().st_size <= part_bytes for path in listed)
    (tmp_path / "whole").mkdir()
    joined = Path(bundle("join", listed[0], "--output", tmp_path / "whole" / image.name))
    shutil.rmtree(tmp_path / "parts")
    for ending in (".chunks.json", ".lock.json"):
        shutil.copy(image.with_name(image.name + ending), joined.parent)
    assert check_artifact(joined).sound
    assert os.access(joined, os.X_OK)


def flip(path: Path, offset: int) -> None:
    for _ in range(500):  # the file system behind a program goes a moment after the program
        try:
            with path.open("r+b") as file:
                file.seek(offset)
                byte = file.read(1)[0]
                file.seek(offset)
                file.write(bytes([byte ^ 4]))
            return
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise
            time.sleep(0.01)
    raise AssertionError("the image is still being served")
