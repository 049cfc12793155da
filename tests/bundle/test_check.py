"""A flipped byte anywhere in an artifact is found, and what lies there is named."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from the_edge_agent.bundle.check import check_artifact
from the_edge_agent.bundle.debs import Deb
from the_edge_agent.bundle.elf import end_of, machine_of
from the_edge_agent.bundle.lock import BundleLock, LockedFile, LockedModel, load_lock
from the_edge_agent.bundle.release import write_papers
from the_edge_agent.bundle.sbom import build_sbom
from the_edge_agent.errors import BundleFailed
from the_edge_agent.store.locate import embedded_model_path

PROGRAM = Path(shutil.which("true") or "/bin/true")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> Path:
    """An ELF program, other files, the embedded model, other files."""
    noise = random.Random(2)
    model = embedded_model_path().read_bytes()
    path = tmp_path_factory.mktemp("artifact") / "a.AppImage"
    program = PROGRAM.resolve().read_bytes()[: end_of(PROGRAM.resolve())]
    path.write_bytes(program + b"GGUF" + noise.randbytes(9_000_000) + model + noise.randbytes(5_000_000))
    write_papers(path, lock_with(model))
    return path


def lock_with(model: bytes) -> BundleLock:
    import hashlib

    file = LockedFile(
        "tiny.gguf", "usr/share/models/tiny.gguf", len(model), hashlib.sha256(model).hexdigest()
    )
    return BundleLock(
        name="a",
        version="1.0",
        arch="x86_64",
        line="full",
        epoch_s=0,
        agents=(LockedFile("chat", "usr/share/the-edge-agent/agents/chat/chat.yaml", 3, "a" * 64),),
        model=LockedModel("tiny", "Apache-2.0", "", (file,)),
        debs=(Deb("libc6", "2.36-9+deb12u14", "b" * 64),),
        wheels=(("PyYAML-6.0.3-cp311-cp311-manylinux_2_17_x86_64.whl", "c" * 64),),
        llama={"bindings_version": "0.3.36", "source_sha256": "d" * 64},
        tools={"compiler": "gcc 12"},
    )


def test_what_was_built_is_sound(artifact) -> None:
    assert check_artifact(artifact).sound


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_byte_is_found_and_named(artifact, data) -> None:
    places = json.loads(artifact.with_name("a.AppImage.chunks.json").read_text())["places"]
    model = next(place for place in places if "tiny.gguf" in place["name"])
    offset = data.draw(st.integers(0, artifact.stat().st_size - 1))
    with artifact.open("r+b") as file:
        file.seek(offset)
        before = file.read(1)
        file.seek(offset)
        file.write(bytes([before[0] ^ (1 << data.draw(st.integers(0, 7)))]))
    try:
        found = check_artifact(artifact)
    finally:
        with artifact.open("r+b") as file:
            file.seek(offset)
            file.write(before)
    assert not found.sound
    (place,) = found.bad
    assert place.chunk.offset <= offset < place.chunk.end
    if model["offset"] <= offset < model["offset"] + model["size"]:
        assert "the model tiny.gguf" in str(place)


def test_a_truncated_artifact_is_found(artifact, tmp_path) -> None:
    for name in artifact.parent.iterdir():
        shutil.copy(name, tmp_path)
    copy = tmp_path / artifact.name
    with copy.open("r+b") as file:
        file.truncate(copy.stat().st_size - 1)
    assert "bytes long" in check_artifact(copy).reason


def test_the_papers_are_listed_in_the_sums(artifact) -> None:
    from the_edge_agent.bundle.checksums import check_sums, read_sums

    sums = artifact.with_name("SHA256SUMS")
    assert check_sums(sums) == ()
    assert sorted(read_sums(sums)) == [
        "a.AppImage", "a.AppImage.cdx.json", "a.AppImage.chunks.json", "a.AppImage.lock.json",
    ]  # fmt: skip


def test_a_lock_is_read_as_it_was_written(artifact) -> None:
    model = embedded_model_path().read_bytes()
    assert load_lock(artifact.with_name("a.AppImage.lock.json")) == lock_with(model)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "name": 3, "debs": 7}'])
def test_what_is_no_lock_is_refused(tmp_path, text) -> None:
    (tmp_path / "a.lock.json").write_text(text)
    with pytest.raises(BundleFailed, match="no bundle's lock"):
        load_lock(tmp_path / "a.lock.json")


def test_the_bill_names_every_part_and_is_the_same_each_time(artifact) -> None:
    lock = load_lock(artifact.with_name("a.AppImage.lock.json"))
    text = build_sbom(lock, "e" * 64)
    assert text == build_sbom(lock, "e" * 64)
    bill = json.loads(text)
    purls = {entry.get("purl") for entry in bill["components"]}
    assert "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64" in purls
    assert "pkg:pypi/pyyaml@6.0.3" in purls
    assert "pkg:pypi/llama-cpp-python@0.3.36" in purls
    kinds = {entry["type"] for entry in bill["components"]}
    assert kinds == {"library", "machine-learning-model", "file"}
    refs = [entry["bom-ref"] for entry in bill["components"]]
    assert len(refs) == len(set(refs))


def test_a_program_says_its_machine_and_its_end() -> None:
    assert machine_of(PROGRAM.resolve()) in (62, 183)
    assert 0 < end_of(PROGRAM.resolve()) <= PROGRAM.resolve().stat().st_size


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 63), value=st.integers(0, 255), cut=st.integers(0, 64) | st.none())
def test_a_damaged_program_is_refused_and_never_believed(tmp_path, position, value, cut) -> None:
    data = bytearray(PROGRAM.resolve().read_bytes())
    data[position] = value
    path = tmp_path / "program"
    path.write_bytes(data[:cut])
    try:
        end = end_of(path)
    except BundleFailed:
        return
    assert end <= path.stat().st_size
