"""The container: every variant's model and configuration, the image that buildah makes, and the daemon in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from tests.cli.tea import clean_environ

from the_edge_agent.store.locate import embedded_model_path
from the_edge_agent.testing.fake_hub import FakeHub

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "packaging" / "docker"
BUILDAH = DOCKER / "buildah.sh"
TEA = Path(sys.executable).parent / "tea"
CATALOGUE = {
    entry["name"]: entry
    for entry in json.loads((ROOT / "src/the_edge_agent/store/catalogue.json").read_text())["models"]
}
#: MODEL, and what the catalogue calls it.
VARIANTS = {
    "gemma3-1b": "gemma-3-1b",
    "gemma3-4b": "gemma-3-4b",
    "gemma3n-e4b": "gemma-3n-e4b",
    "phi4-mini": "phi-4-mini",
}


def repository(model: str) -> tuple[str, str]:
    """Where the hub keeps a model of the catalogue: repository, file."""
    entry = CATALOGUE[model]
    return entry["source"].removeprefix("hf:"), entry["files"][0]["name"]


def prepare(
    *arguments: str, home: Path, environ: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    extra = {"ROOT": str(home / "image"), "TEA": str(TEA), **(environ or {})}
    return subprocess.run(
        ["sh", DOCKER / "prepare.sh", *arguments],
        env=clean_environ(home, extra), capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_gets_its_model_and_a_configuration_that_finds_it(variant: str, tmp_path: Path) -> None:
    repo, file = repository(VARIANTS[variant])
    with FakeHub({repo: {file: embedded_model_path().read_bytes()}}) as hub:
        done = prepare(variant, home=tmp_path, environ={"HF_ENDPOINT": hub.endpoint})
    assert done.returncode == 0, done.stderr
    assert f"\n{VARIANTS[variant]}\t" in done.stdout, "`tea runtime check` names it and its file"
    facts = json.loads((tmp_path / "image/usr/share/tea/model.json").read_text())
    assert facts["license"]
    config = yaml.safe_load((tmp_path / "image/etc/tea/runtime.yaml").read_text())
    assert VARIANTS[variant] in config["models"]
    assert "operational" in {model["level"] for model in config["models"].values()}


def test_the_variant_without_a_model_serves_the_embedded_one(tmp_path: Path) -> None:
    done = prepare("none", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tiny\toperational\t")
    assert not (tmp_path / "image/usr/share/tea/model.json").exists()


def test_a_variant_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    done = prepare("gemma5", home=tmp_path)
    assert done.returncode == 1
    assert (
        "there is no variant gemma5; MODEL is gemma3-1b, gemma3-4b, gemma3n-e4b, phi4-mini or none"
        in done.stderr
    )
    assert not (tmp_path / "image").exists()


def test_a_model_with_the_wrong_digest_does_not_get_in(tmp_path: Path) -> None:
    repo, file = repository("gemma-3-1b")
    with FakeHub({repo: {file: embedded_model_path().read_bytes()}}) as hub:
        done = prepare("gemma3-1b", "0" * 64, home=tmp_path, environ={"HF_ENDPOINT": hub.endpoint})
    assert done.returncode != 0
    assert "DigestMismatch" in done.stderr
    assert not list((tmp_path / "image/usr/share/tea/hub").rglob("*.gguf"))


#: In a network of its own: the ports are the image's, and nothing leaves it.
TRY = r"""
set -u
busybox ip link set lo up
inside() { "$BUILDAH" run --env TEA_API_KEYS=a-secret-of-yours "$CONTAINER" -- "$@"; }
inside /opt/tea/bin/tea runtime serve --config /etc/tea/runtime.yaml &
daemon=$!
tries=0
until inside /opt/tea/bin/python -c "$HEALTH" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 90 ] && kill -0 $daemon || { echo "never healthy"; exit 1; }
    sleep 1
done
echo "healthy"
echo "user: $(inside id -u)"
address=http://127.0.0.1:11435/v1/chat/completions
question='{"messages": [{"role": "user", "content": "What is 2+2?"}], "max_tokens": 50}'
echo "without a key: $(curl --silent --output /dev/null --write-out '%{http_code}' --data "$question" $address)"
echo "answer: $(curl --silent --header 'Authorization: Bearer a-secret-of-yours' --data "$question" $address)"
for entry in /proc/[0-9]*; do
    tr '\0' ' ' <"$entry/cmdline" 2>/dev/null | grep -q '^/opt/tea/bin/python[0-9.]* /opt/tea/bin/tea runtime serve' &&
        kill -TERM "${entry#/proc/}"
done
wait $daemon
echo "ended: $?"
"""


@pytest.mark.e2e
@pytest.mark.timeout(2400)
def test_the_image_is_healthy_as_nobody_special_and_answers_from_the_model_inside(tmp_path: Path) -> None:
    assert shutil.which("buildah"), "buildah isn't installed: make system-deps"
    repo, file = repository("gemma-3-1b")
    with FakeHub({repo: {file: embedded_model_path().read_bytes()}}) as hub:
        built = subprocess.run(
            [DOCKER / "build.sh", "localhost/tea:test", "MODEL=gemma3-1b", f"HF_ENDPOINT={hub.endpoint}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert built.returncode == 0, built.stderr[-4000:]
    image = json.loads(
        subprocess.run(
            [BUILDAH, "inspect", "--type", "image", "localhost/tea:test"], capture_output=True, check=True
        ).stdout
    )["Docker"]["config"]
    assert image["User"] == "10001:10001"
    assert set(image["ExposedPorts"]) == {"11435/tcp", "50051/tcp"}
    assert image["Healthcheck"]["Test"][:3] == ["CMD", "/opt/tea/bin/python", "-c"]
    container = subprocess.run(
        [BUILDAH, "from", "localhost/tea:test"], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        environ = {"BUILDAH": str(BUILDAH), "CONTAINER": container, "HEALTH": image["Healthcheck"]["Test"][3]}
        done = subprocess.run(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", TRY],
            env={**os.environ, **environ}, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
    finally:
        subprocess.run([BUILDAH, "rm", container], capture_output=True, check=False)
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert "healthy" in done.stdout.splitlines(), done.stdout + done.stderr
    assert said["user"] == "10001"
    assert said["without a key"] == "401"
    answer = json.loads(said["answer"])
    assert "4" in answer["choices"][0]["message"]["content"]
    assert answer["model"] == "gemma-3-1b"
    assert said["ended"] == "0"
