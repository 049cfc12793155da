"""Models from a hub into the store: names, digests, splits, licences, two pullers, and who may see the token."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from tests.store.model_on_hub import DATA, DOWNLOAD, FILE, REPO, options

from the_edge_agent.errors import (
    DigestMismatch,
    DownloadFailed,
    GgufInvalid,
    ModelNotFound,
    PathRefused,
    StoreError,
    UsageError,
)
from the_edge_agent.gguf.types import ValueType
from the_edge_agent.store import pull
from the_edge_agent.store.catalogue import load_catalogue
from the_edge_agent.store.http_options import HttpOptions, is_proxied
from the_edge_agent.store.inventory import held_files, list_models, remove_model
from the_edge_agent.store.locate import ModelQuery, locate_model
from the_edge_agent.store.places import StorePlaces
from the_edge_agent.store.pull import pull_model
from the_edge_agent.store.pull_options import PullOptions
from the_edge_agent.store.records import load_record
from the_edge_agent.testing.fake_hub import COMMIT, FakeHub, digest
from the_edge_agent.testing.faulty_server import Answer, Fault, FaultyServer, always, in_turn
from the_edge_agent.testing.gguf_file import DEFAULT_METADATA, FakeGguf, pattern_model


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_catalogue_name_is_pulled_checked_recorded_and_found(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pulled = pull_model("gemma-3-1b", places, options(hub))
    assert pulled.path.read_bytes() == DATA
    assert pulled.files[0].sha256 == digest(DATA)
    record = load_record(places.store_dir, REPO, FILE, "main")
    assert (record.sha256, record.commit) == (digest(DATA), COMMIT)
    query = ModelQuery(store_dir=places.store_dir, hf_hub_dir=places.hf_hub_dir, model_name="gemma-3-1b")
    assert locate_model(query).path == pulled.path


def test_a_pulled_model_is_laid_out_as_the_hugging_face_cache_is(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pull_model("gemma-3-1b", places, options(hub, into_hf_cache=True))
    folder = places.hf_hub_dir / "models--unsloth--gemma-3-1b-it-GGUF"
    assert (folder / "refs/main").read_text() == COMMIT
    link = folder / "snapshots" / COMMIT / FILE
    assert link.readlink().as_posix() == f"../../blobs/{digest(DATA)}"
    assert (folder / "blobs" / digest(DATA)).read_bytes() == DATA


def test_a_model_that_is_here_is_not_asked_for_again(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pull_model("gemma-3-1b", places, options(hub))
        asked = len(hub.front.seen)
        again = pull_model("gemma-3-1b", places, options(hub))
        assert len(hub.front.seen) == asked
    assert not again.files[0].fetched


def test_a_model_in_the_hugging_face_cache_is_not_fetched_a_second_time(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pull_model("gemma-3-1b", places, options(hub, into_hf_cache=True))
        assert not pull_model("gemma-3-1b", places, options(hub)).files[0].fetched
    assert not (places.store_dir / "models--unsloth--gemma-3-1b-it-GGUF").exists()


def test_the_digest_comes_from_the_hubs_own_header(places):
    with (
        FakeHub({REPO: {FILE: DATA}}, faults=always(Fault("wrong-bytes"))) as hub,
        pytest.raises(DigestMismatch),
    ):
        pull_model("gemma-3-1b", places, options(hub))
    assert not [path for path in files_below(places.store_dir) if not path.startswith("locks/")]


def test_a_recorded_digest_is_checked_ever_after(places):
    other = pattern_model(700_001, seed=2)
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pulled = pull_model("gemma-3-1b", places, options(hub))
        pulled.path.resolve().unlink()
        hub.put(REPO, {FILE: other})
        with pytest.raises(DigestMismatch, match="--accept-new"):
            pull_model("gemma-3-1b", places, options(hub))
        assert pull_model("gemma-3-1b", places, options(hub, accept_new=True)).path.read_bytes() == other


def test_no_digest_in_the_catalogue_is_invented_or_empty():
    for entry in load_catalogue():
        for file in entry.files:
            assert file.sha256 is None or len(file.sha256) == 64
            assert file.size_bytes is None or file.size_bytes > 0


def test_the_catalogue_holds_the_promised_models():
    sources = {entry.name: (entry.repo, entry.quantization) for entry in load_catalogue()}
    assert sources["tiny"] == ("", "Q8_0")
    assert sources["gemma-3n-e4b"] == ("ggml-org/gemma-3n-E4B-it-GGUF", "Q4_K_M")
    assert sources["phi-4-mini"] == ("bartowski/microsoft_Phi-4-mini-instruct-GGUF", "Q3_K_S")
    assert sources["gemma-3-1b"] == ("unsloth/gemma-3-1b-it-GGUF", "Q8_0")
    assert sources["tinyllama-1.1b"] == ("TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF", "Q4_K_M")
    assert sources["phi-3-mini"][0] == "microsoft/Phi-3-mini-4k-instruct-gguf"
    assert sources["mistral-7b"] == ("TheBloke/Mistral-7B-Instruct-v0.2-GGUF", "Q4_K_M")
    assert "gemma-3-4b" in sources
    names = [name for entry in load_catalogue() for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))


def test_a_quantization_is_chosen_from_the_hubs_listing(places):
    files = {
        "m-Q4_K_M.gguf": DATA,
        "m-Q8_0.gguf": pattern_model(9000),
        "mmproj-m-Q8_0.gguf": b"x",
        "README.md": b"",
    }
    with FakeHub({"org/m": files}) as hub:
        told = []
        pulled = pull_model(
            "hf:org/m:Q8_0", places, options(hub), on_license=lambda *licence: told.append(licence)
        )
        assert pulled.path.name == "m-Q8_0.gguf"
        assert told == [("apache-2.0", None)]
        assert pull_model("hf:org/m", places, options(hub)).path.name == "m-Q4_K_M.gguf"
        with pytest.raises(ModelNotFound, match="offers Q4_K_M, Q8_0"):
            pull_model("hf:org/m:Q5_K_M", places, options(hub))


def test_a_split_model_is_pulled_whole(places):
    parts = {}
    for number in range(3):
        split = {"split.count": (ValueType.UINT16, 3), "split.no": (ValueType.UINT16, number)}
        parts[f"Q8_0/m-Q8_0-0000{number + 1}-of-00003.gguf"] = FakeGguf(
            metadata={**DEFAULT_METADATA, **split}
        ).build()
    with FakeHub({"org/m": parts}) as hub:
        pulled = pull_model("hf:org/m:Q8_0", places, options(hub))
    assert len(pulled.files) == 3
    query = ModelQuery(store_dir=places.store_dir, hf_hub_dir=places.hf_hub_dir, model_name="hf:org/m:Q8_0")
    found = locate_model(query)
    assert found.path == pulled.path
    assert len(found.shards) == 3


def test_a_page_in_place_of_a_model_is_thrown_away(places):
    page = b"<html>" + bytes(5000)
    with FakeHub({REPO: {FILE: page}}) as hub, pytest.raises(GgufInvalid, match="no GGUF file"):
        pull_model("gemma-3-1b", places, options(hub))
    assert not [path for path in files_below(places.store_dir) if not path.startswith("locks/")]


def test_an_address_is_pulled_under_its_files_name_or_a_given_one(places):
    with FaultyServer({"/x/mine.gguf": DATA}) as server:
        one = pull_model(server.url("/x/mine.gguf"), places, PullOptions(download=DOWNLOAD))
        two = pull_model(server.url("/x/mine.gguf"), places, PullOptions(download=DOWNLOAD, name="other"))
    query = ModelQuery(store_dir=places.store_dir, hf_hub_dir=places.hf_hub_dir)
    assert locate_model(replace(query, model_name="mine")).path == one.path
    assert locate_model(replace(query, model_name="other")).path == two.path


@pytest.mark.parametrize("name", ["../../etc", "..", ".hidden", "a/b", "a\\b", "nul\0", "x" * 300, "-rf /"])
def test_a_name_that_leads_out_of_the_store_is_refused(name, places):
    with FaultyServer({"/m.gguf": DATA}) as server, pytest.raises(PathRefused):
        pull_model(server.url("/m.gguf"), places, PullOptions(download=DOWNLOAD, name=name))
    assert not server.seen


@pytest.mark.parametrize("file", ["../../../evil-Q8_0.gguf", "a/../../evil-Q8_0.gguf", "/etc/evil-Q8_0.gguf"])
def test_a_file_name_of_the_hub_that_leads_out_of_the_store_is_refused(file, places, tmp_path):
    with FakeHub({"org/m": {file: DATA}}) as hub, pytest.raises(PathRefused):
        pull_model("hf:org/m:Q8_0", places, options(hub))
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("text", ["hf:../x:Q8_0", "hf:a/..:Q8_0", "hf:a/b/../../c.gguf", "hf:a/b@..:Q8_0"])
def test_a_reference_that_leads_out_of_the_store_is_refused(text, places):
    with FakeHub({}) as hub, pytest.raises(PathRefused):
        pull_model(text, places, options(hub))
    assert not hub.front.seen


def test_a_link_in_the_store_that_leads_elsewhere_is_not_followed(places, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = places.store_dir / "models--unsloth--gemma-3-1b-it-GGUF"
    folder.parent.mkdir()
    folder.symlink_to(outside)
    with FakeHub({REPO: {FILE: DATA}}) as hub, pytest.raises(PathRefused, match="leads out of the store"):
        pull_model("gemma-3-1b", places, options(hub))
    assert files_below(outside) == []


def test_what_nobody_knows_is_answered_with_a_proposal(places):
    with FakeHub({}) as hub:
        with pytest.raises(ModelNotFound, match="did you mean 'gemma-3-1b'"):
            pull_model("gemma-3-1", places, options(hub))
        with pytest.raises(UsageError, match="import"):
            pull_model("./m.gguf", places, options(hub))
        with pytest.raises(UsageError):
            pull_model("ftp://host/m.gguf", places, options(hub))


def test_offline_nothing_is_asked(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
            pull_model("gemma-3-1b", places, options(hub, offline=True))
        with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
            pull_model("hf:org/m:Q8_0", places, options(hub, offline=True))
        assert not hub.front.seen
        pull_model("gemma-3-1b", places, options(hub))
        assert pull_model("gemma-3-1b", places, options(hub, offline=True)).path.read_bytes() == DATA


def test_two_pullers_of_one_model_share_one_download(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        results, moments = [], []
        slow = threading.Event()
        hub.content.faults = lambda seen: slow.wait(10) and None

        def pull_it():
            results.append(pull_model("gemma-3-1b", places, options(hub), on_progress=moments.append))

        threads = [threading.Thread(target=pull_it) for _ in range(2)]
        for thread in threads:
            thread.start()
        while not any(moment.phase == "waiting" for moment in list(moments)):
            threads[0].join(0.01)
        slow.set()
        for thread in threads:
            thread.join()
    assert len(results) == 2
    assert hub.content.body_bytes_sent <= len(DATA) + 2


def with_token(hub, token="secret-token", origin=None):
    http = replace(DOWNLOAD.http, token=token, token_origin=origin or hub.endpoint)
    return PullOptions(download=replace(DOWNLOAD, http=http), endpoint=hub.endpoint)


def test_the_token_goes_to_the_hub_and_to_no_other_host(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pull_model("gemma-3-1b", places, with_token(hub))
        assert {seen.headers.get("authorization") for seen in hub.front.seen} == {"Bearer secret-token"}
        assert hub.content.seen
        assert not any("authorization" in seen.headers for seen in hub.content.seen)


def test_the_token_stays_here_when_the_address_is_another_host(places):
    with FaultyServer({"/m.gguf": DATA}) as server, FakeHub({}) as hub:
        pull_model(server.url("/m.gguf"), places, with_token(hub))
        assert not any("authorization" in seen.headers for seen in server.seen)


def test_the_token_never_goes_over_plain_http_to_another_machine():
    from the_edge_agent.store.address import token_goes_to

    assert token_goes_to("https://huggingface.co/a", "https://huggingface.co")
    assert not token_goes_to("http://huggingface.co/a", "http://huggingface.co")
    assert not token_goes_to("https://huggingface.co.evil.org/a", "https://huggingface.co")
    assert not token_goes_to("https://huggingface.co:8443/a", "https://huggingface.co")
    assert token_goes_to("http://127.0.0.1:9/a", "http://127.0.0.1:9")


def test_a_redirect_into_a_private_network_is_refused():
    from the_edge_agent.store.address import check_addresses, is_private

    start = "https://models.example.org/m.gguf"
    for address in (
        "127.0.0.1",
        "10.0.0.8",
        "192.168.1.1",
        "169.254.169.254",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "0.0.0.0",
    ):
        assert is_private(address)
        with pytest.raises(DownloadFailed, match="a private address"):
            check_addresses("http://elsewhere.example.org/", [address], start=start)
    check_addresses("https://elsewhere.example.org/", ["93.184.216.34"], start=start)
    check_addresses("http://127.0.0.1:1/", ["127.0.0.1"], start="http://127.0.0.1:2/")


def test_a_redirect_to_a_private_host_is_refused_before_it_is_asked(places):
    with FaultyServer({"/m.gguf": DATA}) as inner, FaultyServer({}) as outer:
        target = inner.url("/m.gguf").replace("127.0.0.1", "localhost")
        outer.answers["/m.gguf"] = Answer(302, {"Location": target})
        with pytest.raises(DownloadFailed, match="localhost, a private address"):
            pull_model(outer.url("/m.gguf"), places, PullOptions(download=DOWNLOAD))
        assert not inner.seen


def test_a_name_that_turns_private_after_it_was_looked_up_is_caught_by_the_peers_address(places):
    from the_edge_agent.store.http_source import HttpSource

    with FaultyServer({"/m.gguf": DATA}) as inner, FaultyServer({}) as outer:
        outer.answers["/m.gguf"] = Answer(
            302, {"Location": inner.url("/m.gguf").replace("127.0.0.1", "localhost")}
        )
        source = HttpSource(outer.url("/m.gguf"), DOWNLOAD.http, look_up=lambda host: ["93.184.216.34"])
        with pytest.raises(DownloadFailed, match="a private address"):
            source.probe()
        source.close()


def test_https_never_steps_down_to_http():
    from the_edge_agent.store.address import resolve_redirect

    with pytest.raises(DownloadFailed, match="plain http"):
        resolve_redirect("https://a.example/m", "http://a.example/m", start="https://a.example/m")


def test_a_pull_that_died_between_the_blob_and_its_name_fetches_nothing_again(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pulled = pull_model("gemma-3-1b", places, options(hub))
        pulled.path.unlink()
        before = hub.content.body_bytes_sent
        again = pull_model("gemma-3-1b", places, options(hub))
        assert again.path.read_bytes() == DATA
        assert hub.content.body_bytes_sent <= before + 1


def test_a_removed_model_is_gone_and_others_stay(places):
    other = pattern_model(9000, seed=3)
    with FakeHub({REPO: {FILE: DATA}, "org/m": {"m-Q8_0.gguf": other}}) as hub:
        pull_model("gemma-3-1b", places, options(hub))
        kept = pull_model("hf:org/m:Q8_0", places, options(hub))
        assert remove_model("gemma-3-1b", places) == len(DATA)
    with pytest.raises(ModelNotFound):
        held_files("gemma-3-1b", places)
    assert kept.path.read_bytes() == other
    with pytest.raises(ModelNotFound):
        remove_model("gemma-3-1b", places)


def test_a_model_of_the_shared_cache_is_removed_only_when_asked_for(places):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pull_model("gemma-3-1b", places, options(hub, into_hf_cache=True))
    with pytest.raises(ModelNotFound, match="--hf-cache"):
        remove_model("gemma-3-1b", places)
    assert remove_model("gemma-3-1b", places, shared_too=True) == len(DATA)


def test_the_list_shows_what_is_here_what_is_under_way_and_what_could_be(places):
    with FakeHub({REPO: {FILE: DATA}, "org/m": {"m-Q8_0.gguf": DATA}}) as hub:
        pull_model("hf:org/m:Q8_0", places, options(hub))
        hub.content.faults = in_turn(*[Fault()] * 5, *[Fault("403")] * 500)
        with pytest.raises(DownloadFailed):
            pull_model("gemma-3-1b", places, options(hub))
    rows = {row.name: row for row in list_models(places, None)}
    assert rows["hf:org/m/m-Q8_0.gguf"].where == "store"
    assert rows["gemma-3-1b"].where == "partial"
    assert 0 < rows["gemma-3-1b"].done_bytes < len(DATA)
    assert rows["mistral-7b"].where == "absent"


def test_the_embedded_model_needs_no_fetching(places, tmp_path, monkeypatch):
    from the_edge_agent.store import locate

    (tmp_path / "tiny.gguf").write_bytes(DATA)
    monkeypatch.setattr(locate, "EMBEDDED_DIR", tmp_path)
    with FakeHub({}) as hub:
        assert pull.pull_model("tiny", places, options(hub)).path == tmp_path / "tiny.gguf"
        assert not hub.front.seen


def test_a_link_where_a_download_should_be_is_not_followed(places, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    partial = places.partial_dir(REPO, FILE, "main")
    partial.parent.mkdir(parents=True)
    partial.symlink_to(outside)
    with FakeHub({REPO: {FILE: DATA}}) as hub, pytest.raises(PathRefused, match="a link stands"):
        pull_model("gemma-3-1b", places, options(hub))
    assert files_below(outside) == []


def test_a_store_that_cannot_be_written_is_a_typed_error(tmp_path):
    (tmp_path / "store").write_text("a file where the folder should be")
    places = StorePlaces(tmp_path / "store", tmp_path / "hub")
    with FakeHub({REPO: {FILE: DATA}}) as hub, pytest.raises(StoreError, match="TEA_MODELS_DIR"):
        pull_model("gemma-3-1b", places, options(hub))


def test_one_digest_cannot_speak_for_a_split_model(places):
    with FakeHub({}) as hub, pytest.raises(UsageError, match="is 3 files"):
        pull_model("hf:org/m/m-00001-of-00003.gguf", places, options(hub, sha256="0" * 64))


def test_the_proxy_is_for_https_and_not_for_hosts_that_are_named_direct():
    http = HttpOptions(proxy="http://proxy.example:3128", direct_hosts=("inner.example",))
    assert is_proxied("https://huggingface.co/m", http)
    assert not is_proxied("http://127.0.0.1:1/m", http)
    assert not is_proxied("https://a.inner.example/m", http)
    assert is_proxied("https://notinner.example/m", http)


def test_a_link_in_the_store_that_leads_elsewhere_is_not_removed_through(places, tmp_path):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pull_model("gemma-3-1b", places, options(hub))
    folder = places.store_dir / "models--unsloth--gemma-3-1b-it-GGUF"
    (folder / "blobs").rename(tmp_path / "outside")
    (folder / "blobs").symlink_to(tmp_path / "outside")
    with pytest.raises(PathRefused, match="leads out of the store"):
        remove_model("gemma-3-1b", places)
    assert files_below(tmp_path / "outside") == [digest(DATA)]


def test_a_branch_of_the_cache_that_names_a_path_is_not_followed(places, tmp_path):
    with FakeHub({REPO: {FILE: DATA}}) as hub:
        pulled = pull_model("gemma-3-1b", places, options(hub))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / FILE).write_bytes(pattern_model(5000, seed=9))
    (places.store_dir / "models--unsloth--gemma-3-1b-it-GGUF/refs/main").write_text("../../../elsewhere")
    query = ModelQuery(store_dir=places.store_dir, hf_hub_dir=places.hf_hub_dir, model_name="gemma-3-1b")
    assert locate_model(query).path == pulled.path


def test_a_pinned_revision_is_never_answered_by_another_one(places):
    with FakeHub({"org/m": {"m-Q8_0.gguf": DATA}}) as hub:
        pull_model("hf:org/m:Q8_0", places, options(hub))
    query = ModelQuery(store_dir=places.store_dir, hf_hub_dir=places.hf_hub_dir)
    assert locate_model(replace(query, model_name=f"hf:org/m@{COMMIT}:Q8_0")).header
    with pytest.raises(ModelNotFound):
        locate_model(replace(query, model_name="hf:org/m@v2:Q8_0"))
