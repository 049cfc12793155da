"""The web bundle: what goes in, the same bits twice, models cut for static hosts, sentences where it can't be made."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from the_edge_agent.bundle.plan import ModelSource
from the_edge_agent.bundle.sources import read_agent
from the_edge_agent.bundle.web import WebBuild, make_site, pack_site
from the_edge_agent.bundle.web_licenses import third_party_text
from the_edge_agent.bundle.web_model import write_model
from the_edge_agent.errors import BundleFailed
from the_edge_agent.store.manifest import bad_chunks, parse_manifest

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
BUILT = (
    "demo/index.html", "demo/demo.js", "demo/demo.css", "demo/icon.svg", "service-worker.js", "package.json",
    "index.js", "model-worker.js", "engine-worker.js", "wllama.wasm", "engine.zip", "pyodide/pyodide.asm.wasm", "types/index.d.ts",
)  # fmt: skip


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A built web package, as far as a bundle looks at it."""
    for name in BUILT:
        path = tmp_path / "dist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return tmp_path / "dist"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkout with installed npm packages."""
    checkout = tmp_path / "checkout"
    for package, version in (("@wllama/wllama", "3.8.1"), ("pyodide", "314.0.7")):
        folder = checkout / "web/node_modules" / package
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"version": version}), encoding="utf-8")
    (checkout / "web/node_modules/@wllama/wllama/LICENCE").write_text(
        "Permission is hereby granted", encoding="utf-8"
    )
    (checkout / "LICENSE").write_text("Apache", encoding="utf-8")
    return checkout


def model_of(tmp_path: Path, size: int, name: str = "m.gguf") -> ModelSource:
    path = tmp_path / name
    path.write_bytes((b"0123456789abcdef" * (size // 16 + 1))[:size])
    return ModelSource(
        name.removesuffix(".gguf"), (path,), license="MIT", license_url="https://example.org/l"
    )


def build_of(source: Path, dist: Path, *models: ModelSource) -> WebBuild:
    agents = (
        read_agent(ROOT / "examples/llm/classify.yaml"),
        read_agent(ROOT / "examples/llm/hello-world.yaml"),
    )
    return WebBuild(agents, models, "1.0", source, dist)


def test_a_site_holds_page_engine_agents_and_models_and_lists_them(
    source: Path, dist: Path, tmp_path: Path
) -> None:
    models = (model_of(tmp_path, 100), model_of(tmp_path, 200, "other.gguf"))
    make_site(build_of(source, dist, *models), tmp_path / "site")
    listed = json.loads((tmp_path / "site/site.json").read_bytes())
    assert [agent["path"] for agent in listed["agents"]] == [
        "agents/classify.yaml",
        "agents/hello-world.yaml",
    ]
    assert listed["agents"][0]["description"].startswith("Finds out")
    assert [(m["name"], m["manifest"], m["license"]) for m in listed["models"]] == [
        ("m", "model-manifest.json", "MIT"),
        ("other", "other-model-manifest.json", "MIT"),
    ]
    assert {
        "index.html",
        "tea/index.js",
        "tea/pyodide/pyodide.asm.wasm",
        "agents/classify.yaml",
        "THIRD-PARTY.txt",
    } <= set(listed["files"])
    assert not [name for name in listed["files"] if name.startswith("models/") or "types" in name]
    for manifest in ("model-manifest.json", "other-model-manifest.json"):
        for file in json.loads((tmp_path / "site" / manifest).read_bytes())["files"]:
            assert (tmp_path / "site" / file["path"]).stat().st_size == file["size"]


def test_a_site_without_a_model_has_none_in_its_list(source: Path, dist: Path, tmp_path: Path) -> None:
    make_site(build_of(source, dist), tmp_path / "site")
    assert json.loads((tmp_path / "site/site.json").read_bytes())["models"] == []
    assert not (tmp_path / "site/model-manifest.json").exists()


def test_twice_packed_is_the_same_archive_and_a_changed_page_has_another_version(
    source: Path, dist: Path, tmp_path: Path
) -> None:
    build = build_of(source, dist, model_of(tmp_path, 100))
    for name in ("one", "two"):
        make_site(build, tmp_path / name)
        pack_site(tmp_path / name, tmp_path / f"{name}.tar.gz", name=build.name, epoch_s=0)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        assert all(name.startswith("tea-wasm-llm-1.0/") for name in archive.getnames())
    (dist / "demo/demo.js").write_text("changed", encoding="utf-8")
    make_site(build, tmp_path / "three")
    versions = {
        json.loads((tmp_path / name / "site.json").read_bytes())["version"]
        for name in ("one", "two", "three")
    }
    assert len(versions) == 2


def test_a_long_model_is_cut_and_its_manifest_is_the_stores(tmp_path: Path) -> None:
    model = model_of(tmp_path, 21 * MIB + 5)
    written = write_model(model, tmp_path / "site", prefix="models", part_bytes=10 * MIB)
    assert written.files == (
        ("models/m.gguf.part.000", 10 * MIB),
        ("models/m.gguf.part.001", 10 * MIB),
        ("models/m.gguf.part.002", MIB + 5),
    )
    whole = b"".join((tmp_path / "site" / path).read_bytes() for path, _ in written.files)
    assert whole == model.files[0].read_bytes()
    manifest = parse_manifest(json.dumps(written.to_json()).encode(), place="m")
    assert manifest.sha256 == hashlib.sha256(whole).hexdigest()
    assert bad_chunks(model.files[0], manifest) == ()


def test_the_shards_of_a_split_model_stay_files(tmp_path: Path) -> None:
    shards = tuple(model_of(tmp_path, 3 * MIB, f"m-0000{n}-of-00002.gguf").files[0] for n in (1, 2))
    written = write_model(ModelSource("m", shards), tmp_path / "site", prefix="models", part_bytes=MIB)
    assert [path for path, _ in written.files] == [f"models/{shard.name}" for shard in shards]
    assert written.manifest.size_bytes == 6 * MIB


def test_a_model_that_no_page_can_load_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.gguf"
    with path.open("wb") as file:
        file.truncate(4 * 1024**3)
    with pytest.raises(BundleFailed, match=r"large is 4.0 GiB, and a page can load 3.75 GiB.*smaller"):
        write_model(ModelSource("large", (path,)), tmp_path / "site", prefix="models")


def test_what_is_not_built_is_a_sentence_and_leaves_nothing(source: Path, dist: Path, tmp_path: Path) -> None:
    (dist / "engine.zip").unlink()
    with pytest.raises(
        BundleFailed, match=r"engine.zip is missing; run `npm install && npm run build` in web/"
    ):
        make_site(build_of(source, dist), tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_folder_that_is_there_is_not_overwritten(source: Path, dist: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    with pytest.raises(BundleFailed, match="it is there already"):
        make_site(build_of(source, dist), tmp_path / "site")


def test_the_licences_of_every_part_are_named(source: Path) -> None:
    text = third_party_text(source / "web/node_modules")
    for part in ("wllama", "llama.cpp", "Pyodide", "CPython", "PyYAML", "Jinja2", "MarkupSafe"):
        assert f"{part} " in text
    assert "Permission is hereby granted" in text
