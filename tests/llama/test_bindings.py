"""Bindings and library: found without a variable, checked against each other, and no trace left of how."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from the_edge_agent.errors import AbiMismatch, LibraryMissing
from the_edge_agent.llama.abi import check_layout
from the_edge_agent.llama.bindings import (
    check_build,
    find_library_dir,
    load_bindings,
    missing_instructions,
    slow_cpu_warning,
)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment or None,
    )


def test_a_model_loads_with_an_empty_environment(tiny_path):
    code = (
        "from pathlib import Path\n"
        "from the_edge_agent.llama.model import LlamaModel\n"
        f"with LlamaModel.load(Path({str(tiny_path)!r})) as model: print(model.name)\n"
    )
    done = run_python(code, HOME="/nonexistent")
    assert (done.returncode, done.stdout, done.stderr) == (0, "tea-tiny\n", "")


def test_loading_the_bindings_imports_neither_numpy_nor_the_high_level_package():
    code = (
        "import os, sys\n"
        "from the_edge_agent.llama.bindings import load_bindings\n"
        "load_bindings()\n"
        "print('numpy' in sys.modules, 'llama_cpp' in sys.modules, 'llama_cpp.llama' in sys.modules, 'LLAMA_CPP_LIB_PATH' in os.environ)\n"
    )
    assert run_python(code).stdout == "False False False False\n"


def test_a_library_that_cannot_be_loaded_says_how_to_get_one(tmp_path):
    code = "from the_edge_agent.llama.bindings import load_bindings\nload_bindings()\n"
    (tmp_path / "libllama.so").write_text("no library")
    for folder in (tmp_path, tmp_path / "empty"):
        done = run_python(code, LLAMA_CPP_LIB_PATH=str(folder))
        assert "LibraryMissing" in done.stderr
        assert "pip install 'the-edge-agent[llm-local]'" in done.stderr


def test_missing_bindings_name_the_extra():
    code = (
        "import importlib.machinery as m\n"
        "from the_edge_agent.llama.bindings import load_bindings\n"
        "m.PathFinder.find_spec = classmethod(lambda *a, **k: None)\n"
        "load_bindings()\n"
    )
    assert "LibraryMissing: llama-cpp-python is not installed; install it with" in run_python(code).stderr


def test_a_struct_with_a_field_more_is_noticed():
    bindings = load_bindings()
    fields = list(bindings.llama_context_params._fields_)
    place = [name for name, _ in fields].index("embeddings")

    class Longer(ctypes.Structure):
        _fields_ = [*fields[:place], ("surprise", ctypes.c_void_p), *fields[place:]]

    def default_params() -> Longer:
        prototype = ctypes.CFUNCTYPE(Longer)
        return prototype(("llama_context_default_params", bindings._lib))()

    other = SimpleNamespace(
        **{name: getattr(bindings, name) for name in dir(bindings) if name.startswith("llama_")}
    )
    other._lib = bindings._lib
    other.llama_context_params = Longer
    other.llama_context_default_params = default_params
    with pytest.raises(AbiMismatch, match="Longer differs between libllama and its bindings"):
        check_layout(other)
    check_layout(bindings)


def test_a_library_built_for_other_bindings_is_refused(tmp_path):
    init = tmp_path / "__init__.py"
    init.write_text('__version__ = "1.0.0"\n')
    (tmp_path / "build.json").write_text(json.dumps({"bindings_version": "2.0.0"}))
    with pytest.raises(LibraryMissing, match=r"built for llama-cpp-python 2\.0\.0, installed is 1\.0\.0"):
        check_build(tmp_path, init)


def test_a_library_built_for_another_cpu_is_refused_not_run(tmp_path):
    init = tmp_path / "__init__.py"
    init.write_text('__version__ = "1.0.0"\n')
    (tmp_path / "build.json").write_text(
        json.dumps({"bindings_version": "1.0.0", "cpu_features": "avx9000 sse"})
    )
    with pytest.raises(LibraryMissing, match="this one lacks avx9000"):
        check_build(tmp_path, init)


def test_only_instructions_count_and_unknown_cpus_are_let_through():
    assert missing_instructions("avx2 fma md_clear", "fma") == ["avx2"]
    assert missing_instructions("any", "fma") == []
    assert missing_instructions("", "fma") == []
    assert missing_instructions("avx2", "") == []


def test_the_library_is_found_beside_the_interpreter(tmp_path, monkeypatch):
    monkeypatch.delenv("LLAMA_CPP_LIB_PATH", raising=False)
    assert find_library_dir(tmp_path) is None
    (tmp_path / "lib" / "tea-llama").mkdir(parents=True)
    assert find_library_dir(tmp_path) == tmp_path / "lib" / "tea-llama"
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", "/elsewhere")
    assert str(find_library_dir(tmp_path)) == "/elsewhere"


@pytest.mark.parametrize(
    ("machine", "features", "warned"),
    [
        ("x86_64", {"SSE3", "AVX2", "FMA"}, False),
        ("x86_64", {"SSE3"}, True),
        ("x86_64", set(), False),
        ("aarch64", {"NEON"}, False),
    ],
)
def test_only_an_x86_cpu_that_lacks_avx2_is_called_slow(machine, features, warned):
    assert bool(slow_cpu_warning(machine, frozenset(features))) is warned
