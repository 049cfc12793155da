"""`tea runtime install`: into a tree of its own; the machine that systemd runs on is in tests/e2e/vm."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.tea import tea

from the_edge_agent.cli.runtime_install_plan import Planned, decide, may_remove, plan_system, plan_user
from the_edge_agent.cli.runtime_install_units import CONFIG, MARK, quoted, service_unit
from the_edge_agent.errors import UsageError
from the_edge_agent.runtime.config import parse_config

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_FILES = {
    "etc/sysusers.d/tea.conf",
    "etc/tmpfiles.d/tea.conf",
    "etc/tea/runtime.yaml",
    "etc/systemd/system/tea-runtime.socket",
    "etc/systemd/system/tea-runtime.service",
}


def files_below(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def unquoted(text: str) -> str:
    """What systemd makes of one word of ExecStart (systemd.service(5), "Quoting" and specifiers)."""
    if text.startswith('"'):
        text = text[1:-1]
        text = text.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")
    return text.replace("$$", "$").replace("%%", "%")


def test_installing_into_a_tree_writes_every_file_and_runs_nothing(tmp_path: Path) -> None:
    root = tmp_path / "image"
    done = tea("runtime", "install", "--system", "--root", root, "--tea", "/usr/bin/tea", home=tmp_path)
    assert done.code == 0, done.err
    assert set(files_below(root)) == SYSTEM_FILES
    assert "+ " not in done.err
    unit = root / "etc/systemd/system/tea-runtime.service"
    assert "ExecStart=/usr/bin/tea runtime serve --config /etc/tea/runtime.yaml\n" in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o644


def test_installing_twice_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "image"
    line = ("runtime", "install", "--system", "--root", root, "--tea", "/usr/bin/tea")
    tea(*line, home=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    done = tea(*line, home=tmp_path)
    assert done.code == 0
    assert "wrote" not in done.err
    assert "replaced" not in done.err
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()} == before


def test_a_new_program_replaces_our_unit_and_leaves_the_configuration_alone(tmp_path: Path) -> None:
    root = tmp_path / "image"
    tea("runtime", "install", "--system", "--root", root, "--tea", "/usr/bin/tea", home=tmp_path)
    config = root / "etc/tea/runtime.yaml"
    config.write_text("models: {tiny: {level: operational, parallel: 2}}\n")
    done = tea("runtime", "install", "--system", "--root", root, "--tea", "/opt/tea/bin/tea", home=tmp_path)
    assert done.code == 0
    assert (
        "ExecStart=/opt/tea/bin/tea runtime serve"
        in (root / "etc/systemd/system/tea-runtime.service").read_text()
    )
    assert "parallel: 2" in config.read_text()


def test_a_unit_that_somebody_wrote_by_hand_is_never_replaced(tmp_path: Path) -> None:
    unit = tmp_path / "image/etc/systemd/system/tea-runtime.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/mine\n")
    root = tmp_path / "image"
    done = tea("runtime", "install", "--system", "--root", root, "--tea", "/usr/bin/tea", home=tmp_path)
    assert done.code == 2
    assert "tea-runtime.service was not written by this installer" in done.first_error_line
    assert set(files_below(root)) == {"etc/systemd/system/tea-runtime.service"}, (
        "nothing else was written either"
    )
    assert tea("runtime", "uninstall", "--system", "--root", root, home=tmp_path).code == 0
    assert unit.read_text() == "[Service]\nExecStart=/mine\n"


def test_uninstalling_removes_what_was_installed_and_keeps_the_configuration(tmp_path: Path) -> None:
    root = tmp_path / "image"
    tea("runtime", "install", "--system", "--root", root, "--tea", "/usr/bin/tea", home=tmp_path)
    done = tea("runtime", "uninstall", "--system", "--root", root, home=tmp_path)
    assert done.code == 0
    assert set(files_below(root)) == {"etc/tea/runtime.yaml"}
    assert f"kept {root}/etc/tea/runtime.yaml" in done.err
    assert tea("runtime", "uninstall", "--system", "--root", root, home=tmp_path).code == 0


def test_a_user_service_lies_in_the_users_own_folders(tmp_path: Path) -> None:
    done = tea("runtime", "install", "--user", "--root", tmp_path / "image", home=tmp_path)
    assert done.code == 0, done.err
    folder = tmp_path / "image" / str(tmp_path).lstrip("/") / ".config"
    assert set(files_below(folder)) == {
        "tea/runtime.yaml",
        "systemd/user/tea-runtime.socket",
        "systemd/user/tea-runtime.service",
    }
    assert "%E/tea/runtime.yaml" in (folder / "systemd/user/tea-runtime.service").read_text()


def test_a_dry_run_shows_files_and_commands_and_touches_nothing(tmp_path: Path) -> None:
    done = tea("runtime", "install", "--user", "--dry-run", home=tmp_path)
    assert done.code == 0, done.err
    assert "Type=notify" in done.out
    assert "systemctl --user start tea-runtime.socket tea-runtime.service" in done.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    Path("/run/systemd/system").is_dir(), reason="this machine has a systemd; it isn't ours to change"
)
def test_a_machine_without_systemd_gets_a_sentence(tmp_path: Path) -> None:
    done = tea("runtime", "install", "--user", home=tmp_path)
    assert done.code == 1
    assert "wasn't started by systemd" in done.first_error_line
    assert list(tmp_path.iterdir()) == []


def test_one_scope_must_be_said(tmp_path: Path) -> None:
    assert tea("runtime", "install", home=tmp_path).code == 2
    assert tea("runtime", "install", "--user", "--system", home=tmp_path).code == 2


@pytest.mark.parametrize("program", ["/home/me/bin/tea", "/tmp/tea.AppImage"])
def test_a_system_service_is_refused_where_it_could_not_see_its_program(program: str) -> None:
    with pytest.raises(UsageError, match="doesn't see") as caught:
        plan_system((program,))
    assert "--user" in caught.value.fix


def test_a_relative_program_is_refused(tmp_path: Path) -> None:
    done = tea("runtime", "install", "--user", "--dry-run", "--tea", "bin/tea", home=tmp_path)
    assert done.code == 2
    assert "give the whole path" in done.first_error_line


@given(
    st.text(
        st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=("Cs", "Cc")),
        min_size=1,
    )
)
def test_any_path_reaches_systemd_as_it_is(name: str) -> None:
    word = f"/opt/{name}".replace("%E/", "")
    assert unquoted(quoted(word)) == word


def test_a_path_with_a_line_break_cannot_add_a_line_to_the_unit() -> None:
    with pytest.raises(ValueError, match="control character"):
        service_unit("system", ("/opt/tea\nExecStartPre=/bin/evil",), "/etc/tea/runtime.yaml")


def test_what_lies_there_decides_what_is_done() -> None:
    ours, theirs = Planned(Path("/a"), f"{MARK}\n1\n"), Planned(Path("/b"), "1\n", theirs=True)
    assert [decide(ours, text) for text in (None, ours.text, f"{MARK}\nold\n", "mine\n")] == [
        "write", "unchanged", "replace", "refuse",
    ]  # fmt: skip
    assert [decide(theirs, text) for text in (None, theirs.text, "mine\n")] == ["write", "keep", "keep"]
    assert [may_remove(ours, text) for text in (None, "mine\n", ours.text)] == [False, False, True]
    assert not may_remove(theirs, theirs.text)


def test_the_first_configuration_is_one_the_daemon_takes() -> None:
    config = parse_config(CONFIG)
    assert list(config.models) == ["tiny"]
    assert config.models["tiny"].level == "operational"


def test_the_packages_files_are_what_the_installer_writes() -> None:
    script = runpy.run_path(str(ROOT / "packaging" / "systemd" / "write.py"))
    assert script["main"](["--check"]) == 0


def test_an_appimage_may_mount_itself() -> None:
    plain = service_unit("system", ("/opt/tea",), "/etc/tea/runtime.yaml")
    appimage = service_unit("system", ("/opt/tea.AppImage",), "/etc/tea/runtime.yaml", appimage=True)
    for line in ("SystemCallFilter=", "RestrictNamespaces="):
        assert line in plain
        assert line not in appimage


@pytest.mark.e2e
@pytest.mark.parametrize("scope", ["system", "user"])
def test_systemd_finds_nothing_to_complain_of(scope: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is part of the package systemd: make system-deps"
    plan = plan_system(("/usr/bin/env",)) if scope == "system" else plan_user(("/usr/bin/env",), {}, tmp_path)
    units = [planned for planned in plan.files if planned.path.name.startswith("tea-runtime.")]
    for planned in units:
        (tmp_path / planned.path.name).write_text(planned.text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", f"--{scope}", *(tmp_path / unit.path.name for unit in units)],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.e2e
def test_the_system_service_is_shut_in_as_far_as_its_work_allows(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is part of the package systemd: make system-deps"
    unit = tmp_path / "tea-runtime.service"
    unit.write_text(service_unit("system", ("/usr/bin/env",), "/etc/tea/runtime.yaml"))
    done = subprocess.run(
        [analyze, "security", "--no-pager", "--offline=true", "--threshold=25", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.splitlines()[-1:]
