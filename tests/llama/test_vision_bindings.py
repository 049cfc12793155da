"""Where libmtmd is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from the_edge_agent.llama.vision_bindings import PATH_VARIABLE, VISION_DIR, find_vision_dir


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATH_VARIABLE, raising=False)


def library_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "libmtmd.so").write_bytes(b"")
    return folder


def test_without_a_library_the_bindings_look_for_their_own(tmp_path):
    assert find_vision_dir(tmp_path / "llama", tmp_path / "prefix") is None


def test_the_prefix_and_before_it_the_folder_of_libllama_are_looked_through(tmp_path):
    prefix, beside = tmp_path / "prefix", tmp_path / "llama"
    built = library_in(prefix / "lib" / VISION_DIR)
    assert find_vision_dir(beside, prefix) == built
    library_in(beside)
    assert find_vision_dir(beside, prefix) == beside


def test_a_callers_variable_wins(tmp_path, monkeypatch):
    beside = library_in(tmp_path / "llama")
    monkeypatch.setenv(PATH_VARIABLE, str(tmp_path / "own"))
    assert find_vision_dir(beside, tmp_path) == tmp_path / "own"
