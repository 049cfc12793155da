"""Files that rot are found, piece by piece, and mended by fetching those pieces alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from tests.store.model_on_hub import DATA, DOWNLOAD, FILE, REPO, options

from the_edge_agent.errors import DigestMismatch, GgufInvalid, ModelNotFound, PathRefused, StoreError
from the_edge_agent.gguf.types import ValueType
from the_edge_agent.store import sha256 as sha256_module
from the_edge_agent.store.chunks import cut
from the_edge_agent.store.importing import import_model
from the_edge_agent.store.inventory import held_files
from the_edge_agent.store.manifest import build_manifest, parse_manifest
from the_edge_agent.store.pull import pull_model
from the_edge_agent.store.pull_options import PullOptions
from the_edge_agent.store.sha256 import FIRST_STATE, resume_sha256, start_sha256
from the_edge_agent.store.verify import Judge, repair, verify_digest, verify_manifest, verify_record
from the_edge_agent.testing.fake_hub import FakeHub, digest
from the_edge_agent.testing.faulty_server import Fault, always, in_turn
from the_edge_agent.testing.gguf_file import DEFAULT_METADATA, FakeGguf, pattern_model

CHUNK = DOWNLOAD.chunk_bytes


def pulled(hub, places):
    pull_model("gemma-3-1b", places, options(hub))
    return held_files("gemma-3-1b", places)[0]


def spoil(path, *offsets):
    with path.resolve().open("r+b") as file:
        for offset in offsets:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))


def test_a_sound_file_is_sound(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
    check = verify_record(held.path, held.record)
    assert check.sound
    assert check.bad == ()


def test_one_wrong_bit_is_found_in_its_chunk(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
    for offset in (0, CHUNK * 3 + 17, len(DATA) - 1):
        spoil(held.path, offset)
        check = verify_record(held.path, held.record)
        assert not check.sound
        assert [chunk.index for chunk in check.bad] == [offset // CHUNK]
        spoil(held.path, offset)
    assert verify_record(held.path, held.record).sound


def test_repair_fetches_only_the_bad_chunks(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
        spoil(held.path, 5, CHUNK * 7)
        before = hub.content.body_bytes_sent
        check = verify_record(held.path, held.record)
        fetched = repair(check, held.record.url, DOWNLOAD, Judge.of_record(held.record))
        assert fetched == 2 * CHUNK
        assert hub.content.body_bytes_sent == before + 2 * CHUNK + 1
    assert held.path.read_bytes() == DATA


def test_a_file_cut_short_is_repaired_at_its_end(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
        with held.path.resolve().open("r+b") as file:
            file.truncate(CHUNK * 9 + 100)
        check = verify_record(held.path, held.record)
        assert {chunk.index for chunk in check.bad} == set(range(9, len(cut(len(DATA), CHUNK))))
        repair(check, held.record.url, DOWNLOAD, Judge.of_record(held.record))
    assert held.path.read_bytes() == DATA


def test_a_file_that_grew_is_bad_and_repair_cuts_it(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
        with held.path.resolve().open("ab") as file:
            file.write(b"more")
        check = verify_record(held.path, held.record)
        assert not check.sound
        repair(check, held.record.url, DOWNLOAD, Judge.of_record(held.record))
    assert held.path.read_bytes() == DATA


def test_repair_survives_a_bad_line(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
        spoil(held.path, 5)
        hub.content.faults = in_turn(Fault(), Fault.drop(100), Fault.busy("0"))
        check = verify_record(held.path, held.record)
        repair(check, held.record.url, DOWNLOAD, Judge.of_record(held.record))
    assert held.path.read_bytes() == DATA


def test_repair_writes_nothing_that_the_record_does_not_prove(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
        spoil(held.path, 5)
        before = held.path.read_bytes()
        hub.content.faults = always(Fault("wrong-bytes"))
        check = verify_record(held.path, held.record)
        with pytest.raises(DigestMismatch):
            repair(check, held.record.url, DOWNLOAD, Judge.of_record(held.record))
    assert held.path.read_bytes() == before


def test_a_damaged_record_does_not_make_a_sound_file_bad(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
    chain = bytearray.fromhex(held.record.chain)
    chain[40] ^= 1
    assert verify_record(held.path, replace(held.record, chain=chain.hex())).sound
    assert verify_record(held.path, replace(held.record, chain="")).sound


def test_a_digest_alone_says_good_or_bad(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(DATA)
    assert verify_digest(path, digest(DATA)).sound
    assert not verify_digest(path, digest(b"")).sound


def test_a_manifest_finds_the_bad_chunk_and_survives_its_own_json(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(DATA)
    manifest = build_manifest(path, model="m", version="7", chunk_bytes=CHUNK)
    assert parse_manifest(json.dumps(manifest.to_json()).encode(), place="m") == manifest
    assert manifest.sha256 == digest(DATA)
    assert manifest.chunks[1].sha256 == digest(DATA[CHUNK : 2 * CHUNK])
    assert verify_manifest(path, manifest).sound
    spoil(path, CHUNK + 1)
    assert [chunk.index for chunk in verify_manifest(path, manifest).bad] == [1]


LIES = {
    "no json": b"{",
    "no object": b"[]",
    "nested without end": b"[" * 100_000,
    "another schema": {"schema": 2},
    "a size that is a text": {"size": "7"},
    "a negative size": {"size": -1},
    "a size beyond belief": {"size": 1 << 60},
    "a chunk size of nothing": {"chunk_size": 0},
    "a chunk size that is no multiple of 64": {"chunk_size": 65},
    "chunks that are no list": {"chunks": {}},
    "a chunk too few": {"chunks": []},
    "a digest that is none": {"sha256": "x" * 64},
    "a digest that is a path": {"sha256": "../../../etc/passwd"},
    "a chunk that is no object": {"chunks": [1]},
    "a chunk elsewhere": {"chunks": [{"offset": 64, "size": 100, "sha256": "0" * 64}]},
    "a chunk of another size": {"chunks": [{"offset": 0, "size": 99, "sha256": "0" * 64}]},
    "a chunk without a digest": {"chunks": [{"offset": 0, "size": 100}]},
}


@pytest.mark.parametrize("name", LIES)
def test_a_manifest_that_lies_is_refused(name):
    sound = {
        "schema": 1,
        "model": "m",
        "version": "1",
        "size": 100,
        "sha256": "0" * 64,
        "chunk_size": 128,
        "chunks": [{"offset": 0, "size": 100, "sha256": "0" * 64}],
    }
    parse_manifest(json.dumps(sound).encode(), place="m.json")
    lie = LIES[name]
    data = lie if isinstance(lie, bytes) else json.dumps({**sound, **lie}).encode()
    with pytest.raises(StoreError) as caught:
        parse_manifest(data, place="m.json")
    assert caught.value.place == "m.json"


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 1000, 4096])
def test_a_digest_goes_on_from_any_written_state(size):
    data = DATA[: size + 4096]
    first = start_sha256()
    first.update(data[: size // 64 * 64])
    second = resume_sha256(first.state(), size // 64 * 64)
    second.update(data[size // 64 * 64 :])
    assert second.hexdigest() == hashlib.sha256(data).hexdigest()
    assert second.hexdigest() == hashlib.sha256(data).hexdigest()


def test_a_state_can_only_be_written_between_blocks():
    running = start_sha256()
    assert running.state() == FIRST_STATE
    running.update(b"x")
    assert running.state() is None


def test_without_chains_digests_are_still_right(places, monkeypatch):
    from the_edge_agent.store import partial, transfer, verify

    monkeypatch.setattr(sha256_module, "_LIBRARY", None)
    for module in (transfer, partial, verify):
        monkeypatch.setattr(module, "CHAINS", False)
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        held = pulled(hub, places)
    assert verify_record(held.path, held.record).sound
    spoil(held.path, 5)
    assert not verify_record(held.path, held.record).sound


def test_an_imported_file_is_found_verified_and_repaired_by_importing_again(places, tmp_path):
    path = tmp_path / "mine.gguf"
    path.write_bytes(DATA)
    imported = import_model(path, places, name="mine")
    assert imported.path.read_bytes() == DATA
    held = held_files("mine", places)[0]
    assert verify_record(held.path, held.record).sound
    spoil(held.path, 9)
    assert not verify_record(held.path, held.record).sound
    import_model(path, places, name="mine")
    assert verify_record(held.path, held.record).sound


def test_an_import_of_a_split_model_takes_every_part(places, tmp_path):
    for number in range(2):
        split = {"split.count": (ValueType.UINT16, 2), "split.no": (ValueType.UINT16, number)}
        data = FakeGguf(metadata={**DEFAULT_METADATA, **split}).build()
        (tmp_path / f"m-0000{number + 1}-of-00002.gguf").write_bytes(data)
    assert len(import_model(tmp_path / "m-00001-of-00002.gguf", places, name="m").files) == 2
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    with pytest.raises(ModelNotFound, match="m-00002-of-00002"):
        import_model(tmp_path / "m-00001-of-00002.gguf", places, name="n")


def test_an_unsound_file_or_name_is_not_imported(places, tmp_path):
    path = tmp_path / "page.gguf"
    path.write_bytes(b"<html>")
    with pytest.raises(GgufInvalid):
        import_model(path, places)
    path.write_bytes(pattern_model(4096))
    with pytest.raises(PathRefused):
        import_model(path, places, name="../../x")
    assert not places.store_dir.exists()


def test_a_pull_with_a_manifest_keeps_its_chunks_for_repair(places, tmp_path):
    (tmp_path / "whole").write_bytes(DATA)
    manifest = build_manifest(tmp_path / "whole", model="m", chunk_bytes=2 * CHUNK)
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pull_model("gemma-3-1b", places, PullOptions(DOWNLOAD, endpoint=hub.endpoint, manifest=manifest))
        held = held_files("gemma-3-1b", places)[0]
        assert held.record.chunk_bytes == 2 * CHUNK
        spoil(held.path, 2 * CHUNK)
        check = verify_manifest(held.path, manifest)
        assert repair(check, held.record.url, DOWNLOAD, Judge.of_manifest(manifest)) == 2 * CHUNK
    assert held.path.read_bytes() == DATA
