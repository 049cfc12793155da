"""What stands beside an artifact is true, what is built twice is one, and a model from outside is used when named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.e2e.bundle.conftest import AGENT, QUESTION, bundle

from the_edge_agent.bundle.check import check_artifact
from the_edge_agent.bundle.checksums import digest_of
from the_edge_agent.errors import DigestMismatch
from the_edge_agent.store.locate import embedded_model_path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3_000)]


def run(artifact: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [artifact, *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"},
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lite line without a model, from one folder."""
    target = tmp_path_factory.mktemp("one") / "lite.AppImage"
    bundle("appimage", AGENT, "--line", "lite", "--model", "none", "--output", target, cwd=target.parent)
    return target


def test_built_twice_it_is_one(lite: Path, tmp_path: Path) -> None:
    again = tmp_path / "deeper" / "lite.AppImage"
    again.parent.mkdir()
    lock = lite.with_name("lite.AppImage.lock.json")
    bundle(
        "appimage", AGENT, "--line", "lite", "--model", "none", "--output", again, "--locked", lock,
        environ={"TZ": "Asia/Tokyo", "LANG": "C", "PYTHONHASHSEED": "7"}, cwd=tmp_path,
    )  # fmt: skip
    for ending in ("", ".lock.json", ".cdx.json", ".chunks.json"):
        assert digest_of(again.with_name(again.name + ending)) == digest_of(
            lite.with_name(lite.name + ending)
        ), ending


def test_the_lite_image_without_a_model_is_small(lite: Path) -> None:
    assert lite.stat().st_size <= 30_000_000


def test_a_model_of_the_host_answers_where_the_bundle_has_none(lite: Path, tmp_path: Path) -> None:
    done = run(lite, "run", "--gguf", str(embedded_model_path()), "--no-log", *QUESTION, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4" in done.stdout


def test_where_there_is_no_model_it_says_how_to_name_one(lite: Path, tmp_path: Path) -> None:
    done = run(lite, "run", "--no-log", *QUESTION, home=tmp_path)
    assert done.returncode == 1
    assert "--gguf" in done.stderr


def test_pythons_children_are_the_bundles_own(appimage: Path, tmp_path: Path) -> None:
    agent = tmp_path / "a.yaml"
    agent.write_text(
        "name: a\nnodes:\n  - name: a\n    run: |\n      import subprocess, sys\n"
        "      said = subprocess.run([sys.executable, '-c', 'import sys; print(sys.prefix)'], capture_output=True, text=True)\n"
        "      return {'answer': said.stdout.strip() + said.stderr}\n"
    )
    done = run(appimage, "run", str(agent), "--allow-code", "--no-log", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("/usr/lib/tea")


def test_the_papers_name_what_is_inside(appimage: Path) -> None:
    lock = json.loads(appimage.with_name(appimage.name + ".lock.json").read_text())
    assert lock["model"]["files"][0]["sha256"] == digest_of(embedded_model_path())
    places = json.loads(appimage.with_name(appimage.name + ".chunks.json").read_text())["places"]
    assert [place["name"] for place in places] == ["the runtime", "the model tiny.gguf"]
    subprocess.run(["sha256sum", "--status", "-c", "SHA256SUMS"], cwd=appimage.parent, check=True)


def test_a_flipped_byte_of_the_model_is_named(appimage: Path, tmp_path: Path) -> None:
    for path in appimage.parent.glob(appimage.name + "*"):
        shutil.copy(path, tmp_path)
    copy = tmp_path / appimage.name
    places = json.loads(copy.with_name(copy.name + ".chunks.json").read_text())["places"]
    model = next(place for place in places if "tiny.gguf" in place["name"])
    with copy.open("r+b") as file:
        file.seek(model["offset"] + model["size"] // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    (bad,) = check_artifact(copy).bad
    assert "the model tiny.gguf" in str(bad)


def test_a_signature_holds_for_its_file_alone(tmp_path: Path) -> None:
    from the_edge_agent.bundle.sign import check_signature

    secret, public, file = tmp_path / "key", tmp_path / "key.pub", tmp_path / "a file"
    subprocess.run(["minisign", "-G", "-W", "-s", secret, "-p", public], check=True, capture_output=True)
    file.write_bytes(b"x" * 1_000)
    signature = Path(bundle("sign", file, "--secret-key", secret))
    first = signature.read_bytes()
    bundle("sign", file, "--secret-key", secret)
    assert signature.read_bytes() == first
    check_signature(file, str(public))
    check_signature(file, public.read_text().splitlines()[1])
    file.write_bytes(b"y" * 1_000)
    with pytest.raises(DigestMismatch):
        check_signature(file, str(public))


def test_another_runtime_is_taken_by_its_digest(tmp_path: Path) -> None:
    from tests.e2e.bundle.small_image import X86, workshop

    from the_edge_agent.bundle.appimage import resolve_runtime
    from the_edge_agent.bundle.native import build_runtime
    from the_edge_agent.errors import BundleFailed

    own = build_runtime(workshop(), X86)
    given = tmp_path / "runtime-x86_64"
    shutil.copy(own, given)
    assert resolve_runtime(workshop(), X86, given, digest_of(own)) == given
    with pytest.raises(DigestMismatch):
        resolve_runtime(workshop(), X86, given, "0" * 64)
    given.write_bytes(own.read_bytes() + b"something behind it")
    with pytest.raises(BundleFailed, match="behind its last section"):
        resolve_runtime(workshop(), X86, given, None)
    given.write_text("no program")
    with pytest.raises(BundleFailed, match="no ELF program"):
        resolve_runtime(workshop(), X86, given, None)
