"""``tea models`` as a person and as a program meet it: the real command against a hub on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest
from tests.cli.tea import COMMAND, clean_environ, tea
from tests.store.model_on_hub import DATA, FILE, REPO

from the_edge_agent.store.manifest import build_manifest
from the_edge_agent.testing.fake_hub import FakeHub, digest
from the_edge_agent.testing.faulty_server import Fault, always, wait_until
from the_edge_agent.testing.gguf_file import pattern_model

VERBS = ("list", "pull", "verify", "rm", "path", "import", "inspect", "plan")


@pytest.fixture
def hub():
    with FakeHub({REPO: {FILE: DATA}}) as running:
        yield running


@pytest.fixture
def models(hub, tmp_path):
    """Runs ``tea models ...`` in an empty home, with the fake hub as the hub."""

    def run(*arguments, **environ):
        return tea("models", *arguments, home=tmp_path, environ={"HF_ENDPOINT": hub.endpoint, **environ})

    return run


def test_a_model_is_pulled_found_verified_repaired_and_removed(models, tmp_path):
    pulled = models("pull", "gemma-3-1b")
    assert pulled.code == 0
    assert "Licence: Gemma Terms of Use" in pulled.err
    path = pulled.out.strip()
    assert path.startswith(str(tmp_path / ".local/share/the-edge-agent/models"))
    assert models("path", "gemma-3-1b").out.strip() == path

    assert "sound" in models("verify", "gemma-3-1b").out
    with open(path, "r+b") as file:  # noqa: PTH123 - through the link, as a disk would
        file.seek(1000)
        file.write(b"rot")
    bad = models("verify", "gemma-3-1b", "--json")
    assert bad.code == 1
    assert json.loads(bad.out)["files"][0]["bad_chunks"] == [{"offset": 0, "size_bytes": len(DATA)}]
    mended = models("verify", "gemma-3-1b", "--repair", "--json")
    assert mended.code == 0
    assert json.loads(mended.out)["sound"]

    assert models("rm", "gemma-3-1b").code == 0
    gone = models("path", "gemma-3-1b")
    assert gone.code == 1
    assert gone.first_error_line.startswith("ModelNotFound: ")


def test_every_verb_speaks_json(models, tmp_path):
    (tmp_path / "mine.gguf").write_bytes(pattern_model(5000))
    answers = {
        ("pull", "gemma-3-1b"): lambda value: value["files"][0]["sha256"] == digest(DATA),
        ("pull", "gemma-3-1b", "-q"): lambda value: not value["files"][0]["fetched"],
        ("import", "mine.gguf", "--name", "mine"): lambda value: value["name"] == "mine",
        ("list",): lambda value: {row["name"]: row["where"] for row in value}["mine"] == "store",
        ("list", "--here"): lambda value: "mistral-7b" not in {row["name"] for row in value},
        ("path", "mine"): lambda value: value["path"].endswith("mine.gguf"),
        ("verify", "mine"): lambda value: value["sound"],
        ("inspect", "mine", "--tensors"): lambda value: value["tensors"][0]["name"] == "token_embd.weight",
        ("inspect", "hf:" + REPO, "--remote"): lambda value: value["architecture"] == "llama",
        ("plan", "mine", "--n-ctx", "256"): lambda value: value["fits"] and value["n_ctx"] == 256,
        ("rm", "mine"): lambda value: value["freed_bytes"] > 4000,
    }
    for arguments, right in answers.items():
        done = models(*arguments, "--json")
        assert done.code == 0, done.err
        assert right(json.loads(done.out)), arguments
    assert {arguments[0] for arguments in answers} == set(VERBS)


def test_the_catalogue_is_published_as_it_is(models):
    published = json.loads(models("list", "--catalogue").out)
    assert published["schema"] == 1
    assert {"name", "source", "files", "license", "level", "variants"} <= set(published["models"][0])


def test_a_plan_that_does_not_fit_is_exit_code_1(models, tmp_path):
    (tmp_path / "mine.gguf").write_bytes(pattern_model(5000))
    done = models("plan", "./mine.gguf", "--n-ctx", "100000000")
    assert done.code == 1
    assert "It doesn't fit" in done.err


def test_a_manifest_checks_a_file_of_ones_own(models, tmp_path):
    path = tmp_path / "mine.gguf"
    path.write_bytes(DATA)
    manifest = tmp_path / "mine.json"
    manifest.write_text(json.dumps(build_manifest(path, model="mine", chunk_bytes=65536).to_json()))
    assert models("verify", "./mine.gguf", "--manifest", "mine.json").code == 0
    path.write_bytes(DATA[:-1] + b"!")
    assert models("verify", "./mine.gguf", "--manifest", "mine.json").code == 1
    assert models("verify", "./mine.gguf", "--sha256", digest(DATA)).code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("pull", "gemma-3-1"),
            "ModelNotFound: there is no model named 'gemma-3-1'; did you mean 'gemma-3-1b'",
        ),
        (("pull", "./m.gguf"), "UsageError: './m.gguf' is a file of this machine"),
        (("pull", "gemma-3-1b", "--sha256", "xyz"), "PathRefused: --sha256: 'xyz' is no SHA-256 digest"),
        (("inspect", "./gone.gguf"), "ModelNotFound: MODEL: there is no file"),
        (("rm", "tiny"), "ModelNotFound: the embedded model is part of the package"),
        (("verify", "mistral-7b"), "ModelNotFound: 'mistral-7b' is not on this machine"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(models, arguments, words):
    done = models(*arguments)
    assert done.code in (1, 2)
    assert done.out == ""
    assert done.first_error_line.startswith(words)


def test_a_file_that_is_no_model_is_refused_with_its_offset(models, tmp_path):
    (tmp_path / "page.gguf").write_bytes(b"<html>")
    done = models("inspect", "./page.gguf")
    assert done.code == 1
    assert "GgufInvalid" in done.err
    assert "at byte 0" in done.err


def test_offline_says_which_variable_forbids(models):
    assert "HF_HUB_OFFLINE" in models("pull", "gemma-3-1b", HF_HUB_OFFLINE="1").err
    assert "TEA_OFFLINE" in models("pull", "gemma-3-1b", TEA_OFFLINE="1").err


def test_the_token_of_the_environment_reaches_the_hub_alone(models, hub):
    assert models("pull", "gemma-3-1b", HF_TOKEN="hf_secret").code == 0
    assert {seen.headers.get("authorization") for seen in hub.front.seen} == {"Bearer hf_secret"}
    assert not any("authorization" in seen.headers for seen in hub.content.seen)


def test_hf_home_and_hf_hub_cache_say_where_the_shared_cache_is(models, tmp_path):
    assert models("pull", "gemma-3-1b", "--hf-cache", HF_HOME=str(tmp_path / "hf")).code == 0
    assert (tmp_path / "hf/hub/models--unsloth--gemma-3-1b-it-GGUF/refs/main").exists()
    found = models("path", "gemma-3-1b", HF_HUB_CACHE=str(tmp_path / "hf/hub"))
    assert found.out.startswith(str(tmp_path / "hf/hub"))


def test_a_pull_that_is_interrupted_goes_on_where_it_was(hub, tmp_path):
    hub.content.faults = always(Fault.stall(300_000))
    environ = clean_environ(tmp_path, {"HF_ENDPOINT": hub.endpoint})
    command = [*COMMAND, "models", "pull", "gemma-3-1b"]
    with subprocess.Popen(command, env=environ, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: hub.content.body_bytes_sent > 200_000)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "Traceback" not in error
    hub.content.faults = lambda _: None
    assert tea("models", "pull", "gemma-3-1b", home=tmp_path, environ={"HF_ENDPOINT": hub.endpoint}).code == 0


FULL_DISK = """
import sys
from pathlib import Path
from the_edge_agent.errors import DiskFull
from the_edge_agent.store.download import DownloadOptions
from the_edge_agent.store.places import StorePlaces
from the_edge_agent.store.pull import pull_model
from the_edge_agent.store.pull_options import PullOptions
url, root = sys.argv[1], Path(sys.argv[2])
places = StorePlaces(root / "store", root / "hub")
options = PullOptions(download=DownloadOptions(chunk_bytes=1 << 20))
filler = root / "filler"

def fill(progress):
    if progress.done_bytes > 4_000_000 and not filler.exists():
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass

try:
    pull_model(url, places, options, on_progress=fill)
    print("no error")
except DiskFull as error:
    print(error.missing_bytes, error)
filler.unlink()
print(pull_model(url, places, options).files[0].sha256)
try:
    pull_model(url, places, PullOptions(name="again"))
    print("no error")
except DiskFull as error:
    print(error.missing_bytes, error)
"""


def test_a_disk_that_fills_up_leaves_a_state_that_goes_on_and_says_how_much_is_missing(tmp_path):
    """On a real file system of 44 MB, in a mount namespace of its own."""
    data = pattern_model(24_000_000)
    from the_edge_agent.testing.faulty_server import FaultyServer

    mount = f'mount -t tmpfs -o size=44m tmpfs {tmp_path} && exec {sys.executable} -c "$CODE" $URL {tmp_path}'
    slow = always(Fault.trickle(8_000_000, pause_s=0.001))
    with FaultyServer({"/m.gguf": data}) as server:
        server.faults = lambda seen: slow(seen) if (seen.start or 0) > 12_000_000 else None
        environ = {**clean_environ(tmp_path), "CODE": FULL_DISK, "URL": server.url("/m.gguf")}
        command = ["unshare", "-rm", "sh", "-c", mount]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
        requests = [seen.start for seen in server.seen if seen.end != 1]
    assert done.returncode == 0, done.stderr
    first, sha256, third = done.stdout.strip().splitlines()
    assert "it goes on where it stopped" in first
    assert 0 < int(first.split()[0]) <= len(data)
    assert sha256 == digest(data)
    assert int(third.split()[0]) > 0
    assert len(requests) < 2 * 24


def test_two_processes_that_pull_one_model_share_one_download(hub, tmp_path):
    both_are_there = threading.Event()
    hub.content.faults = lambda seen: None if seen.end == 1 else both_are_there.wait(60) and None
    environ = clean_environ(tmp_path, {"HF_ENDPOINT": hub.endpoint})
    command = [*COMMAND, "models", "pull", "gemma-3-1b"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pullers = [subprocess.Popen(command, env=environ, cwd=tmp_path, **pipes) for _ in range(2)]
    for puller in pullers:  # one fetches, the other waits for it: both say so
        assert any(FILE in line for line in puller.stderr)
    both_are_there.set()
    paths = [puller.communicate(timeout=60)[0] for puller in pullers]
    assert [puller.returncode for puller in pullers] == [0, 0]
    assert paths[0] == paths[1]
    assert hub.content.body_bytes_sent <= len(DATA) + 2
