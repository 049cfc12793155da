"""``tea-wasm-llm``: agents, the page and the engine as one folder for any static host, and as an archive.

The folder's parts come from the built web package (``web/dist``); nothing is compiled or fetched here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from the_edge_agent.bundle.plan import AgentSource, ModelSource
from the_edge_agent.bundle.web_licenses import third_party_text
from the_edge_agent.bundle.web_model import DEFAULT_PART_BYTES, WebModel, write_model
from the_edge_agent.errors import BundleFailed
from the_edge_agent.workflow.load import parse_workflow

MANIFEST = "model-manifest.json"
SITE = "site.json"
#: The page's own files.
_PAGE = ("index.html", "demo.js", "demo.css", "icon.svg")
_WORKER = "service-worker.js"
#: What shows that the package is built; all of it goes in but what serves those who compile.
_LIBRARY = ("index.js", "model-worker.js", "engine-worker.js", "wllama.wasm", "engine.zip")
_NOT_SERVED = ("demo", "types", "package.json", _WORKER)


@dataclass(frozen=True, slots=True)
class WebBuild:
    """What a site is made of. ``source`` is the checkout, ``dist`` the built web package."""

    agents: tuple[AgentSource, ...]
    models: tuple[ModelSource, ...]
    version: str
    source: Path
    dist: Path
    part_bytes: int = DEFAULT_PART_BYTES

    @property
    def name(self) -> str:
        """What folder and archive are called."""
        return f"tea-wasm-llm-{self.version}"


def make_site(build: WebBuild, folder: Path) -> None:
    """Write the site into ``folder``, which must not exist. Raises BundleFailed, and leaves nothing behind then."""
    if folder.exists():
        raise BundleFailed(
            "it is there already", place=str(folder), fix="remove it, or give another --output"
        )
    _check_built(build.dist)
    folder.mkdir(parents=True)
    try:
        _fill(build, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _fill(build: WebBuild, folder: Path) -> None:
    for name in _PAGE:
        _copy(build.dist / "demo" / name, folder / name)
    _copy(build.dist / _WORKER, folder / _WORKER)
    for path in sorted(path for path in build.dist.rglob("*") if path.is_file()):
        relative = path.relative_to(build.dist)
        if relative.parts[0] not in _NOT_SERVED:
            _copy(path, folder / "tea" / relative)
    _copy(build.source / "LICENSE", folder / "LICENSE")
    notices = third_party_text(build.source / "web" / "node_modules")
    (folder / "THIRD-PARTY.txt").write_text(notices, encoding="utf-8")
    agents = [_write_agent(agent, folder) for agent in build.agents]
    models: list[dict[str, Any]] = []
    for index, model in enumerate(build.models):
        prefix = "models" if index == 0 else f"models/{model.name}"
        written = write_model(model, folder, prefix=prefix, part_bytes=build.part_bytes)
        manifest = MANIFEST if index == 0 else f"{model.name}-{MANIFEST}"
        (folder / manifest).write_text(json.dumps(written.to_json(), indent=1) + "\n", encoding="utf-8")
        models.append(_model_json(written, manifest))
    _write_list(folder, {"name": build.name, "agents": agents, "models": models})


def _write_agent(agent: AgentSource, folder: Path) -> dict[str, str]:
    imports = dict(agent.imports)
    workflow = parse_workflow(
        agent.text, file=str(agent.path), allow_code=True, read_import=lambda relative: imports[Path(relative).as_posix()]
    )  # fmt: skip
    path = folder / "agents" / f"{agent.name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(agent.text, encoding="utf-8")
    for relative, text in agent.imports:
        target = path.parent / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return {"name": agent.name, "description": workflow.description, "path": f"agents/{agent.name}.yaml"}


def _model_json(model: WebModel, manifest: str) -> dict[str, Any]:
    return {
        "name": model.manifest.model,
        "manifest": manifest,
        "size": model.manifest.size_bytes,
        "license": model.license,
        "license_url": model.license_url,
    }


def _write_list(folder: Path, facts: dict[str, Any]) -> None:
    """``site.json``: what is here, what the service worker keeps (all but models), and a version that says if it changed."""
    kept: dict[str, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if not name.startswith("models/"):
            kept[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    version = hashlib.sha256(json.dumps([kept, facts], sort_keys=True).encode()).hexdigest()[:16]
    document = {"version": version, **facts, "files": list(kept)}
    (folder / SITE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def pack_site(folder: Path, archive: Path, *, name: str, epoch_s: int) -> None:
    """The folder as a ``.tar.gz`` whose entries stand below ``name/``; the same bits for the same folder and time."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=epoch_s, compresslevel=9) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(f"{name}/{path.relative_to(folder).as_posix()}")
            entry.size = path.stat().st_size
            entry.mtime = epoch_s
            entry.mode = 0o644
            with path.open("rb") as file:
                tar.addfile(entry, file)


def _check_built(dist: Path) -> None:
    wanted: Sequence[str] = (*(f"demo/{name}" for name in _PAGE), _WORKER, *_LIBRARY)
    missing = [name for name in wanted if not (dist / name).is_file()]
    if missing:
        raise BundleFailed(
            f"the web package isn't built: {missing[0]} is missing",
            place=str(dist),
            fix="run `npm install && npm run build` in web/",
        )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
