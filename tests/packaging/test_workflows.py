"""The workflows keep to what they promise: names, least permissions, digests, and steps that run by hand. `make lint` has the linters."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
BIN = Path(sys.executable).parent


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return yaml.safe_load(path.read_text())["jobs"]


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in jobs(path).items():
            for step in job["steps"]:
                yield f"{path.name}:{name}", step


def test_the_four_workflows_are_there() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "docker", "release", "web"]


@pytest.mark.parametrize(
    ("job", "runner"),
    [
        ("build-python-llm-appimage-x86_64", "ubuntu-latest"),
        ("build-python-llm-appimage-aarch64", "ubuntu-24.04-arm"),
        ("build-lite-llm-appimage-x86_64", "ubuntu-latest"),
        ("build-lite-llm-appimage-aarch64", "ubuntu-24.04-arm"),
    ],
)
def test_a_release_is_built_on_machines_of_its_architecture(job: str, runner: str) -> None:
    release = jobs(ROOT / ".github" / "workflows" / "release.yaml")
    assert release[job]["runs-on"] == runner
    assert {"gemma-3n-e4b", "phi-4-mini", "gemma-3-1b"} <= set(release[job]["strategy"]["matrix"]["model"])
    assert job in release["smoke"]["needs"]
    assert release["publish"]["needs"] == "smoke"


def test_what_is_installed_is_tried_on_every_system_with_and_without_local_models() -> None:
    matrix = jobs(ROOT / ".github" / "workflows" / "ci.yaml")["install"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["extra"] == ["", "llm-local"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_is_allowed_but_what_a_job_asks_for(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    for name, job in jobs(path).items():
        assert "permissions" in job, f"{name} asks for everything"
        assert "timeout-minutes" in job
        if "contents" in job["permissions"]:
            assert job["permissions"]["contents"] == ("write" if name == "publish" else "read")


@pytest.mark.parametrize(
    "path", [*WORKFLOWS, ROOT / "packaging/docker/Dockerfile"], ids=lambda path: path.name
)
def test_actions_and_images_are_pinned_by_digest(path: Path) -> None:
    text = path.read_text()
    for used in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used), used
    for image in re.findall(r"\b(?:debian|ubuntu|fedora):[\w.-]+\S*", text):
        assert re.fullmatch(r"\w+:[\w.-]+@sha256:[0-9a-f]{64}", image), image


def test_every_script_a_step_calls_is_there_and_executable() -> None:
    called = {
        word
        for _, step in steps()
        for word in re.findall(r"(?<![\w/])(?:packaging|\.ci)/[\w./-]+", step.get("run", ""))
        if "Dockerfile" not in word
    }
    assert {"packaging/release.sh", "packaging/smoke-container.sh", ".ci/run"} <= called
    for script in called:
        assert (ROOT / script).stat().st_mode & 0o111, script


def test_no_step_pastes_what_others_wrote_into_its_shell() -> None:
    assert [where for where, step in steps() if "${{" in step.get("run", "")] == []


def test_the_shell_of_every_step_is_sound() -> None:
    script = "".join(f"# {where}\n(\n{step['run']}\n)\n" for where, step in steps() if "run" in step)
    done = subprocess.run(
        [BIN / "shellcheck", "--shell", "bash", "--exclude", "SC2086,SC2153", "-"],
        input=script, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_folders_of_a_release_become_one_with_one_list(tmp_path: Path) -> None:
    for name, text in (("one", "1"), ("two", "2")):
        folder = tmp_path / "parts" / name
        folder.mkdir(parents=True)
        (folder / f"tea-{name}.AppImage").write_text(text)
        with (folder / "SHA256SUMS").open("w") as sums:
            subprocess.run(["sha256sum", f"tea-{name}.AppImage"], cwd=folder, stdout=sums, check=True)
    collect = [ROOT / "packaging" / "collect.sh", tmp_path / "parts", tmp_path / "dist"]
    subprocess.run(collect, check=True)
    assert {path.name for path in (tmp_path / "dist").iterdir()} == {
        "SHA256SUMS",
        "tea-one.AppImage",
        "tea-two.AppImage",
    }
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path / "dist", check=True
    )


def test_a_file_that_changed_on_the_way_to_the_release_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "parts" / "one"
    folder.mkdir(parents=True)
    (folder / "tea.AppImage").write_text("1")
    with (folder / "SHA256SUMS").open("w") as sums:
        subprocess.run(["sha256sum", "tea.AppImage"], cwd=folder, stdout=sums, check=True)
    (folder / "tea.AppImage").write_text("2")
    collect = [ROOT / "packaging" / "collect.sh", tmp_path / "parts", tmp_path / "dist"]
    done = subprocess.run(collect, capture_output=True, check=False)
    assert done.returncode != 0


def test_the_smoke_test_passes_here_and_fails_where_the_answer_is_wrong(tmp_path: Path) -> None:
    smoke = ROOT / "packaging" / "smoke.sh"
    done = subprocess.run([smoke, "--model", BIN / "tea"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    liar = tmp_path / "tea"
    liar.write_text("#!/bin/sh\necho five\n")
    liar.chmod(0o755)
    done = subprocess.run([smoke, "--model", liar], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "that isn't 4" in done.stderr
