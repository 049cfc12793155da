"""The pieces of a tree: wheels are copied without scripts, agents have folders of their own, papers tell the truth."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.tea import tea

from the_edge_agent.bundle import layout
from the_edge_agent.bundle.bundled import bundled_agent, open_bundle
from the_edge_agent.bundle.debs import Deb
from the_edge_agent.bundle.desktop import appstream, desktop_entry
from the_edge_agent.bundle.llama import check_llama
from the_edge_agent.bundle.lock import BundleLock, LockedFile
from the_edge_agent.bundle.plan import AgentSource, plan_bundle
from the_edge_agent.bundle.variants import ARCHITECTURES, LINES
from the_edge_agent.bundle.wheels import Wheel, check_pinned, unpack_wheel
from the_edge_agent.bundle.workshop import Workshop, call, find_tool, open_workshop
from the_edge_agent.errors import BundleFailed, DigestMismatch

X86 = ARCHITECTURES["x86_64"]
AGENT = "name: hello\nnodes:\n  - {name: a, uses: template.render, with: {template: hi}, outputs: {answer: '{{ result }}'}}\n"


def wheel(folder: Path, files: dict[str, str]) -> Wheel:
    path = folder / "a_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return Wheel(path, "a" * 64)


def lock(*agents: LockedFile) -> BundleLock:
    return BundleLock(
        "n", "1.0", "x86_64", "full", 0, agents, None, (Deb("libc6", "1", "a" * 64),), (), {}, {}
    )


def test_a_wheel_gives_its_modules_and_neither_scripts_nor_stubs(tmp_path) -> None:
    found = wheel(
        tmp_path,
        {
            "package/__init__.py": "",
            "package/a.pyi": "",
            "package/data.txt": "data",
            "a_package-1.0.data/scripts/run": "#!python",
            "a_package-1.0.data/platlib/extra.py": "",
            "a_package-1.0.data/data/share/x": "",
            "a_package-1.0.dist-info/METADATA": "Name: a-package",
            "a_package-1.0.dist-info/RECORD": "",
        },
    )
    unpack_wheel(found, tmp_path / "site")
    names = sorted(
        str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()
    )
    assert names == [
        "a_package-1.0.dist-info/METADATA",
        "extra.py",
        "package/__init__.py",
        "package/data.txt",
    ]
    assert (found.name, found.version) == ("a-package", "1.0")


@pytest.mark.parametrize("name", ["../outside.py", "/tmp/outside.py", "a/../../outside.py"])
def test_a_wheel_never_writes_outside(tmp_path, name) -> None:
    unpack_wheel(wheel(tmp_path, {name: "x", "in.py": ""}), tmp_path / "deep" / "site")
    assert [path.name for path in tmp_path.rglob("*.py")] == ["in.py"]


def test_other_wheels_than_the_locks_are_named(tmp_path) -> None:
    found = wheel(tmp_path, {})
    check_pinned([found], [(found.path.name, found.sha256)])
    with pytest.raises(DigestMismatch, match=r"a_package-1\.0"):
        check_pinned([found], [(found.path.name, "b" * 64)])
    with pytest.raises(DigestMismatch, match=r"other\.whl"):
        check_pinned([found], [(found.path.name, found.sha256), ("other.whl", "b" * 64)])


def test_a_library_for_one_cpu_is_refused(tmp_path) -> None:
    with pytest.raises(BundleFailed, match="no libllama"):
        check_llama(tmp_path, X86)
    (tmp_path / "build.json").write_text('{"cpu": "native", "machine": "x86_64"}')
    with pytest.raises(BundleFailed, match="of the machine that built it"):
        check_llama(tmp_path, X86)
    (tmp_path / "build.json").write_text('{"cpu": "dispatch", "machine": "aarch64"}')
    with pytest.raises(BundleFailed, match="for aarch64"):
        check_llama(tmp_path, X86)
    (tmp_path / "build.json").write_text('{"cpu": "dispatch", "machine": "x86_64"}')
    assert check_llama(tmp_path, X86)["machine"] == "x86_64"


def test_outside_of_a_bundle_there_is_no_agent(tmp_path) -> None:
    assert open_bundle(None) is None
    assert bundled_agent(tmp_path) is None


def test_a_bundle_finds_its_first_agent_and_others_by_name(tmp_path) -> None:
    bundle_at(tmp_path)
    assert bundled_agent(tmp_path) == tmp_path / "usr/share/the-edge-agent/agents/hello/hello.yaml"
    assert bundled_agent(tmp_path, "other") == tmp_path / "usr/share/the-edge-agent/agents/other/other.yaml"
    assert bundled_agent(tmp_path, "third") is None


def test_run_takes_the_bundles_agents_by_name_and_the_first_without_one(tmp_path) -> None:
    bundle_at(tmp_path / "app")
    for words in (("run",), ("run", "--output", "text", "--no-log"), ("run", "other"), ()):
        done = tea(*words, home=tmp_path, environ={"APPDIR": str(tmp_path / "app")})
        assert (done.code, done.out.strip()) == (0, "hi"), done.err


def test_a_file_of_the_host_goes_before_an_agent_of_the_bundle(tmp_path) -> None:
    bundle_at(tmp_path / "app")
    (tmp_path / "other").write_text(AGENT.replace("template: hi", "template: from the host"))
    done = tea("run", "other", home=tmp_path, environ={"APPDIR": str(tmp_path / "app")})
    assert done.out.strip() == "from the host", done.err


def test_run_without_a_file_outside_of_a_bundle_asks_for_one(tmp_path) -> None:
    done = tea("run", home=tmp_path)
    assert done.code == 2
    assert "missing file; name an agent file" in done.err


def test_a_damaged_bundle_says_so(tmp_path) -> None:
    bundle_at(tmp_path / "app")
    (tmp_path / "app" / layout.LOCK).write_text("{")
    done = tea("run", home=tmp_path, environ={"APPDIR": str(tmp_path / "app")})
    assert done.code == 1
    assert "no bundle's lock" in done.err


def test_the_desktop_entry_names_the_agent_and_the_metadata_is_xml() -> None:
    from xml.etree import ElementTree as ET

    plan = plan_bundle([AgentSource(Path("chat.yaml"), "chat", AGENT)], None, LINES["full"], X86, "1.0<&>")
    assert "Name=chat\n" in desktop_entry(plan)
    assert ET.fromstring(appstream(plan, 0)).find("releases/release").get("date") == "1970-01-01"
    assert "Name=The Edge Agent\n" in desktop_entry(replace(plan, agents=()))


def test_a_tool_that_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(BundleFailed, match="no-such-tool is not installed; apt-get install no-such-tool"):
        find_tool("no-such-tool")


def test_what_a_tool_said_last_is_in_the_error() -> None:
    with pytest.raises(BundleFailed, match="it broke"):
        call(["sh", "-c", "echo it broke >&2; exit 3"])


def test_the_workshop_takes_the_epoch_from_the_environment(tmp_path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path), "SOURCE_DATE_EPOCH": "12"}
    workshop: Workshop = open_workshop(environ)
    assert (workshop.epoch_s, workshop.cache) == (12, tmp_path / "the-edge-agent" / "bundle")
    with pytest.raises(BundleFailed, match="SOURCE_DATE_EPOCH"):
        open_workshop({**environ, "SOURCE_DATE_EPOCH": "yesterday"})


def bundle_at(appdir: Path) -> None:
    files: list[LockedFile] = []
    for name in ("hello", "other"):
        path = layout.AGENTS / name / f"{name}.yaml"
        (appdir / path).parent.mkdir(parents=True)
        (appdir / path).write_text(AGENT)
        files.append(LockedFile(name, str(path), len(AGENT), "a" * 64))
    (appdir / layout.LOCK).write_text(lock(*files).dump())
