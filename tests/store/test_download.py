"""One file from a server that misbehaves: right bytes or a typed error, and nothing fetched twice."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from the_edge_agent.errors import DigestMismatch, DiskFull, DownloadFailed
from the_edge_agent.store.backoff import Backoff
from the_edge_agent.store.download import DownloadOptions, DownloadRequest, check_disk, download
from the_edge_agent.store.http_options import HttpOptions
from the_edge_agent.store.manifest import build_manifest
from the_edge_agent.store.partial import Identity, PartialDownload
from the_edge_agent.store.transfer import TransferOptions
from the_edge_agent.testing.faulty_server import Answer, Fault, FaultyServer, always, in_turn, wait_until
from the_edge_agent.testing.gguf_file import pattern_model

CHUNK = 64 * 1024
DATA = pattern_model(1_000_003)
SHA256 = hashlib.sha256(DATA).hexdigest()

#: No wait is longer than a few milliseconds.
QUICK = DownloadOptions(
    http=HttpOptions(stall_timeout_s=5.0),
    transfer=TransferOptions(backoff=Backoff(base_s=0.001, longest_s=0.004)),
    chunk_bytes=CHUNK,
)


#: For the tests in which something stalls: a third of a second is one.
IMPATIENT = replace(QUICK, http=HttpOptions(stall_timeout_s=0.3, lowest_rate_bytes_s=100_000))


def options_for(name):
    return IMPATIENT if "stall" in name or "trickle" in name else QUICK


def one_connection(options=QUICK):
    return replace(options, transfer=replace(options.transfer, connections=1))


@contextmanager
def serving(faults=None, data=DATA, **more):
    with FaultyServer({"/m.gguf": data}, faults=faults, **more) as server:
        yield server


def fetch(server, folder, *, options=QUICK, sha256=SHA256, **more):
    request = DownloadRequest(server.url("/m.gguf"), "m.gguf", sha256=sha256, **more)
    with download(request, folder, options) as fetched:
        return fetched.path.read_bytes(), fetched


SURVIVED = {
    "no fault": (),
    "a line that drops": (Fault.drop(1000), Fault.drop(40_000), Fault.drop(0)),
    "a line that stalls": (Fault(), Fault.stall(500), Fault.stall(0)),
    "a slow trickle": (Fault(), Fault.trickle(300, pause_s=0.01)),
    "too many requests": (Fault.busy("0"), Fault.busy("0"), Fault.busy(None)),
    "a service that is unavailable": (Fault.busy("0", "503"), Fault(), Fault.busy("0", "503")),
    "a redirect chain": (Fault.redirects(5), Fault.redirects(3)),
    "a 416 that was wrong": (Fault(), Fault("416")),
    "a range that is ignored": (Fault(), Fault("ignore-range")),
    "ranges ignored from the start": (Fault("ignore-range"), Fault("ignore-range")),
    "an etag that changes once": (Fault(), Fault(), Fault("change-etag")),
    "another range than was asked for": (Fault(), Fault("wrong-range")),
    "a length longer than what comes": (Fault(), Fault("longer-than-sent")),
    "a length shorter than what comes": (Fault(), Fault("shorter-than-sent")),
    "a wrong total": (Fault(), Fault("wrong-total")),
}


@pytest.mark.parametrize("name", SURVIVED)
def test_the_right_file_comes_through(name, tmp_path):
    with serving(in_turn(*SURVIVED[name])) as server:
        data, fetched = fetch(server, tmp_path / "part", options=options_for(name))
    assert data == DATA
    assert fetched.sha256 == SHA256
    assert not (tmp_path / "part").exists()


FATAL = {
    "ranges ignored by a server that lies about its length": (
        in_turn(Fault(), Fault("ignore-range"), *[Fault("shorter-than-sent")] * 99),
        DownloadFailed,
        "8 failures in a row|becomes another one",
    ),
    "a server that always drops": (
        always(Fault.drop(100)),
        DownloadFailed,
        "8 failures in a row|can't be asked",
    ),
    "a server that always stalls": (
        always(Fault.stall(0)),
        DownloadFailed,
        "can't be asked|failures in a row",
    ),
    "a server that is always busy": (always(Fault.busy("0")), DownloadFailed, "429"),
    "a server that asks to wait for an hour": (always(Fault.busy("3600")), DownloadFailed, "429"),
    "a server that always answers 416": (always(Fault("416")), DownloadFailed, "416"),
    "a file that keeps changing": (always(Fault("change-etag")), DownloadFailed, "becomes another one"),
    "a server that forbids": (always(Fault("403")), DownloadFailed, "403"),
    "an endless redirect chain": (always(Fault.redirects(50)), DownloadFailed, "more than 10 times"),
    "the right length with wrong bytes": (always(Fault("wrong-bytes")), DigestMismatch, "was promised"),
    "a compressed body": (always(Fault("compressed")), DownloadFailed, "compresses"),
    "a redirect to file": (always(Fault.redirect("file:///etc/passwd")), DownloadFailed, "file: address"),
    "a redirect to ftp": (always(Fault.redirect("ftp://example.org/m.gguf")), DownloadFailed, "ftp: address"),
    "a redirect to nowhere": (always(Fault.redirect("")), DownloadFailed, "to nowhere"),
}


@pytest.mark.parametrize("name", FATAL)
def test_what_cannot_be_survived_is_a_typed_error(name, tmp_path):
    faults, error, words = FATAL[name]
    with serving(faults) as server, pytest.raises(error, match=words) as caught:
        fetch(server, tmp_path / "part", options=options_for(name))
    assert caught.value.place == server.url("/m.gguf")


def test_a_missing_file_is_said_at_once(tmp_path):
    with FaultyServer({}) as server, pytest.raises(DownloadFailed, match="404"):
        fetch(server, tmp_path / "part")
    assert len(server.seen) == 1


def test_a_file_of_another_size_is_refused_before_a_byte_is_fetched(tmp_path):
    with serving() as server, pytest.raises(DownloadFailed, match="were promised"):
        fetch(server, tmp_path / "part", size_bytes=len(DATA) + 1)
    assert server.body_bytes_sent <= 1, "one byte at most is asked for, to learn the size"


def test_wrong_bytes_leave_nothing_behind_that_a_later_pull_could_trust(tmp_path):
    with serving(always(Fault("wrong-bytes"))) as server:
        with pytest.raises(DigestMismatch):
            fetch(server, tmp_path / "part")
        assert not (tmp_path / "part").exists()
        server.faults = in_turn()
        assert fetch(server, tmp_path / "part")[0] == DATA


def test_a_finished_chunk_is_never_fetched_twice(tmp_path):
    with serving(in_turn(Fault(), Fault(), Fault(), Fault())) as server:
        server.faults = lambda seen: Fault("403") if len(server.seen) > 6 else None
        with pytest.raises(DownloadFailed):
            fetch(server, tmp_path / "part", options=one_connection())
        finished = {seen.start for seen in server.seen if seen.sent_bytes == CHUNK}
        assert finished
        already = len(server.seen)
        server.faults = in_turn()
        assert fetch(server, tmp_path / "part")[0] == DATA
    again = {seen.start for seen in server.seen[already + 1 :]}
    assert not finished & again


def test_a_resumed_download_hashes_no_finished_chunk_again(tmp_path, monkeypatch):
    from the_edge_agent.store import transfer

    resumed = []
    resume = transfer.resume_sha256
    monkeypatch.setattr(
        transfer, "resume_sha256", lambda state, length: resumed.append(length) or resume(state, length)
    )
    # How far the hash has followed the bytes when the line breaks depends on the machine: at times not one chunk far.
    for attempt in range(20):
        with serving() as server:
            server.faults = lambda seen, server=server: Fault("403") if len(server.seen) > 10 else None
            with pytest.raises(DownloadFailed):
                fetch(server, tmp_path / f"part {attempt}", options=one_connection())
            server.faults = in_turn()
            assert fetch(server, tmp_path / f"part {attempt}")[1].sha256 == SHA256
        if resumed:
            break
    assert resumed
    assert resumed[0] >= CHUNK


def test_a_broken_line_goes_on_inside_a_chunk(tmp_path):
    with serving(in_turn(Fault(), Fault.drop(50_000))) as server:
        fetch(server, tmp_path / "part", options=one_connection())
    assert server.seen[2].start == 50_000
    assert server.body_bytes_sent == len(DATA) + 1


def test_with_a_manifest_only_the_bad_chunk_is_fetched_again(tmp_path):
    (tmp_path / "whole").write_bytes(DATA)
    manifest = build_manifest(tmp_path / "whole", model="m", chunk_bytes=CHUNK)
    with serving(in_turn(Fault(), Fault(), Fault("wrong-bytes"))) as server:
        data, _ = fetch(server, tmp_path / "part", options=one_connection(), manifest=manifest)
    assert data == DATA
    assert [seen.start for seen in server.seen if seen.start is not None].count(CHUNK) == 2
    assert server.body_bytes_sent == len(DATA) + 1 + CHUNK


def test_a_manifest_is_kept_to_over_a_server_without_ranges(tmp_path):
    (tmp_path / "whole").write_bytes(DATA)
    manifest = build_manifest(tmp_path / "whole", model="m", chunk_bytes=CHUNK)
    with serving(in_turn(Fault("ignore-range"), Fault("wrong-bytes"), Fault("ignore-range"))) as server:
        server.faults = in_turn(Fault("ignore-range"), Fault("wrong-bytes"))
        assert fetch(server, tmp_path / "part", manifest=manifest)[0] == DATA


def test_retry_after_is_obeyed_in_seconds_and_as_a_date():
    from datetime import UTC, datetime

    from the_edge_agent.store.backoff import parse_retry_after

    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_retry_after("7", now) == 7.0
    assert parse_retry_after("Thu, 01 Jan 2026 00:00:30 GMT", now) == 30.0
    assert parse_retry_after("Wed, 31 Dec 2025 23:00:00 GMT", now) == 0.0
    assert parse_retry_after("soon", now) is None
    assert Backoff().delay_s(1, 0.5, 7.0) == 7.0
    assert Backoff().delay_s(1, 0.5, 3600.0) is None


def test_waits_double_up_to_a_limit_and_then_end():
    backoff = Backoff(base_s=1, longest_s=5, attempts=6)
    assert [backoff.delay_s(failures, 1.0) for failures in range(1, 7)] == [1, 2, 4, 5, 5, None]
    assert backoff.delay_s(1, 0.0) == 0.5


def test_the_disk_is_checked_first_and_the_error_says_how_much_is_missing(tmp_path):
    partial = PartialDownload.open(tmp_path / "part", Identity("u", "e", 10_000_000_000, CHUNK))
    with pytest.raises(DiskFull, match="GB") as caught:
        check_disk(partial, free_bytes=4_000_000_000)
    assert caught.value.missing_bytes == 6_000_000_000 + 16 * 1024 * 1024
    check_disk(partial, free_bytes=11_000_000_000)
    partial.close()


def test_the_bar_never_runs_backwards(tmp_path):
    moments = []
    with serving(in_turn(Fault(), Fault.drop(60_000), Fault.drop(10), Fault("change-etag"))) as server:
        request = DownloadRequest(server.url("/m.gguf"), "m.gguf", sha256=SHA256)
        with download(request, tmp_path / "part", one_connection(), on_progress=moments.append):
            pass
    assert moments[-1].phase == "done"
    assert moments[-1].done_bytes == moments[-1].total_bytes == len(DATA)


def test_an_empty_file_is_a_file(tmp_path):
    with serving(data=b"") as server:
        data, fetched = fetch(server, tmp_path / "part", sha256=None)
    assert data == b""
    assert fetched.sha256 == hashlib.sha256(b"").hexdigest()


def test_a_server_that_promises_no_length_is_refused(tmp_path):
    answers = {"/m.gguf": Answer(200, {"Content-Length": "", "Transfer-Encoding": "chunked"}, b"0\r\n\r\n")}
    with FaultyServer({}, answers=answers) as server, pytest.raises(DownloadFailed):
        fetch(server, tmp_path / "part")


def test_the_chain_of_a_download_proves_its_chunks(tmp_path):
    from the_edge_agent.store.sha256 import FIRST_STATE, resume_sha256

    with serving() as server:
        _, fetched = fetch(server, tmp_path / "part")
    assert fetched.chain[0] == FIRST_STATE
    last = len(fetched.chain) - 1
    running = resume_sha256(fetched.chain[last], last * CHUNK)
    running.update(DATA[last * CHUNK :])
    assert running.hexdigest() == SHA256


def test_a_torn_journal_costs_only_what_it_tore(tmp_path):
    with serving() as server:
        server.faults = lambda seen: Fault("403") if len(server.seen) > 8 else None
        with pytest.raises(DownloadFailed):
            fetch(server, tmp_path / "part", options=one_connection())
        journal = tmp_path / "part/journal"
        journal.write_bytes(journal.read_bytes()[:-7])
        server.faults = in_turn()
        assert fetch(server, tmp_path / "part")[0] == DATA


def test_after_a_restart_of_the_machine_lost_bytes_are_fetched_again(tmp_path):
    import json

    with serving() as server:
        server.faults = lambda seen: Fault("403") if len(server.seen) > 10 else None
        with pytest.raises(DownloadFailed):
            fetch(server, tmp_path / "part", options=one_connection())
        identity = json.loads((tmp_path / "part/identity.json").read_text())
        (tmp_path / "part/identity.json").write_text(json.dumps({**identity, "boot_id": "another"}))
        with (tmp_path / "part/data").open("r+b") as file:
            file.seek(3 * CHUNK)
            file.write(bytes(CHUNK))
        server.faults = in_turn()
        assert fetch(server, tmp_path / "part")[0] == DATA


def test_downloads_leave_no_descriptor_open(tmp_path):
    def settled():
        return not [thread for thread in threading.enumerate() if thread.name.startswith(("fetch", "answer"))]

    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    wait_until(settled)
    before = descriptors()
    with serving() as server:
        for number in range(5):
            fetch(server, tmp_path / f"part{number}")
    wait_until(settled)
    assert descriptors() == before


def test_nothing_is_written_once_a_transfer_is_over(tmp_path):
    """Not even by a fetcher that sat in a read when it ended: another run may own the file by then."""
    from the_edge_agent.store.http_source import HttpSource
    from the_edge_agent.store.transfer import Transfer

    with serving(always(Fault.stall(100))) as server:
        source = HttpSource(server.url("/m.gguf"), QUICK.http)
        server.faults = in_turn(Fault(), *[Fault.stall(100)] * 99)
        facts = source.probe()
        partial = PartialDownload.open(tmp_path / "part", Identity("u", facts.etag, facts.size_bytes, CHUNK))
        transfer = Transfer(source, facts, partial, QUICK.transfer)

        def stop(progress):
            if progress.done_bytes:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            transfer.run("m.gguf", stop)
        with partial.data_path.open("r+b") as file:
            assert not transfer._write(file.fileno(), b"late", 0)
        source.close()
