"""The build script's decisions: what makes two builds interchangeable, and that nobody ever sees half of one."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location(
        "tea_build_script", ROOT / "packaging" / "llama" / "build.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def plan(build):
    return build.Plan("lib", "native", "none", "1.0", "a" * 64, "c++ 12", "avx2 fma")


def test_the_pin_is_read_from_the_lock(build):
    version, sha256 = build.read_lock()
    assert version.count(".") == 2
    assert len(sha256) == 64


@pytest.mark.parametrize(
    "change",
    [{"target": "server"}, {"cpu": "dispatch"}, {"gpu": "cuda"}, {"source_sha256": "b" * 64}, {"compiler": "c++ 13"}, {"cpu_features": "avx2"}],
)  # fmt: skip
def test_builds_that_differ_in_anything_that_matters_have_entries_of_their_own(plan, change):
    assert replace(plan, **change).key != plan.key


def test_equal_plans_share_an_entry(plan):
    assert replace(plan).key == plan.key


def test_an_entry_is_only_copied_from(build, plan, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = []

    def fake_build(ready, plan, scratch, jobs):
        built.append(plan.key)
        (ready / "libllama.so.0").write_text("library")
        (ready / "libllama.so").symlink_to("libllama.so.0")

    monkeypatch.setattr(build, "build_into", fake_build)
    entry = build.ensure_entry(plan, 1)
    assert build.ensure_entry(plan, 1) == entry
    assert len(built) == 1
    target = tmp_path / "venv" / "lib" / "tea-llama"
    build.replace_folder(target, list(entry.iterdir()))
    (target / "libllama.so.0").write_text("changed")
    assert (entry / "libllama.so.0").read_text() == "library"
    assert (target / "libllama.so").is_symlink()
    build.replace_folder(target, list(entry.iterdir()))
    assert (target / "libllama.so").read_text() == "library"
    assert [path.name for path in target.parent.iterdir()] == ["tea-llama"]


def test_a_build_that_fails_leaves_no_entry(build, plan, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def broken_build(ready, plan, scratch, jobs):
        (ready / "half").write_text("half")
        raise build.BuildFailed("the compiler said no")

    monkeypatch.setattr(build, "build_into", broken_build)
    with pytest.raises(build.BuildFailed):
        build.ensure_entry(plan, 1)
    assert list((tmp_path / "the-edge-agent" / "llama").iterdir()) == []


def test_a_static_server_for_any_cpu_is_refused(build):
    with pytest.raises(build.BuildFailed, match="use --cpu native"):
        build.resolve_plan("server", "dispatch", "none")


def test_each_target_takes_its_own_files_and_knows_where_they_go(build, tmp_path):
    for name in ("libllama.so", "libmtmd.so", "libmtmd.so.0", "libggml.so", "llama-server"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in build.collect(tmp_path, "vision")] == ["libmtmd.so", "libmtmd.so.0"]
    assert [path.name for path in build.collect(tmp_path, "server")] == ["llama-server"]
    assert set(build.INSTALL) == set(build.TARGET_FLAGS)


def test_only_instruction_sets_are_part_of_the_key(build):
    features = build.read_cpu_features().split()
    if sys.platform == "linux":
        assert all(feature.startswith(build.ISA_PREFIXES) for feature in features)


def test_a_cross_build_has_an_entry_and_compilers_of_its_own(plan):
    other = "aarch64" if plan.machine != "aarch64" else "x86_64"
    cross = replace(plan, cpu="dispatch", machine=other)
    assert cross.key != replace(plan, cpu="dispatch").key
    assert any(flag.startswith("-DCMAKE_C_COMPILER=") for flag in cross.flags)
    assert not any("COMPILER" in flag for flag in plan.flags)


def test_another_machine_can_only_get_a_build_for_any_of_its_cpus(build, plan):
    other = "aarch64" if plan.machine != "aarch64" else "x86_64"
    with pytest.raises(build.BuildFailed, match="use --cpu dispatch"):
        build.resolve_plan("lib", "native", "none", other)


def test_variants_that_the_compiler_is_too_old_for_are_left_out_and_no_others(build):
    text = (
        "        ggml_add_cpu_backend_variant(armv8.6_2    DOTPROD FP16 SVE)\n"
        "        ggml_add_cpu_backend_variant(armv9.2_1    DOTPROD SME)\n"
        "        ggml_add_cpu_backend_variant(armv9.2_2    DOTPROD SVE2 SME)\n"
        "    elseif (APPLE)\n"
    )
    kept = build.without_variants(text, "armv9")
    assert [line.split()[0] for line in kept.splitlines()] == [
        "ggml_add_cpu_backend_variant(armv8.6_2",
        "elseif",
    ]


def test_a_compiler_is_asked_what_it_takes(build):
    assert build.compiles("gcc", "-O2")
    assert not build.compiles("gcc", "-march=no-such-machine")
