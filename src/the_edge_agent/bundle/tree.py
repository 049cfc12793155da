"""Puts the folder of a bundle together from what a plan names: base, packages, llama.cpp, agents, model, papers.

The order of work is fixed and so are modes and times, so the same inputs give the same folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import the_edge_agent
from the_edge_agent.bundle import layout
from the_edge_agent.bundle.bytecode import compile_folder
from the_edge_agent.bundle.debs import Deb
from the_edge_agent.bundle.desktop import put_desktop
from the_edge_agent.bundle.foundation import compiler_for, put_foundation
from the_edge_agent.bundle.llama import put_llama
from the_edge_agent.bundle.lock import BundleLock, LockedFile, LockedModel
from the_edge_agent.bundle.plan import AgentSource, BundlePlan, ModelSource
from the_edge_agent.bundle.wheels import Wheel
from the_edge_agent.bundle.workshop import Workshop

OWN_PACKAGE = "the_edge_agent"
BINDINGS = "llama_cpp"
EMBEDDED = layout.SITE_PACKAGES / "the_edge_agent/store/embedded/tiny.gguf"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was fetched and built for a plan."""

    debs: tuple[Deb, ...]
    wheels: tuple[Wheel, ...]
    llama: Path
    llama_facts: Mapping[str, str]
    tools: Mapping[str, str]


def put_tree(plan: BundlePlan, inputs: Inputs, workshop: Workshop, tree: Path) -> BundleLock:
    """Fill the empty folder ``tree`` and return the lock, which also lies in it."""
    put_foundation(workshop, plan.arch, plan.line, debs=inputs.debs, wheels=inputs.wheels, tree=tree)
    site = tree / layout.SITE_PACKAGES
    put_llama(inputs.llama, tree)
    _put_package(workshop, site)
    with compiler_for(workshop, plan.arch, inputs.debs, tree) as python:
        compile_folder(python, site / OWN_PACKAGE, tree, keep_sources=plan.line.keeps_sources)
        # The bindings' version is read from their source before they are imported.
        compile_folder(python, site / BINDINGS, tree, keep_sources=True)
    shutil.copy(tree / layout.PYTHON, tree / layout.APP_RUN)
    _link(tree, layout.COMMAND, layout.APP_RUN)
    put_desktop(plan, workshop, tree)
    agents = [_put_agent(agent, tree) for agent in plan.agents]
    lock = BundleLock(
        name=plan.name,
        version=plan.version,
        arch=plan.arch.name,
        line=plan.line.name,
        epoch_s=workshop.epoch_s,
        agents=tuple(file for files in agents for file in files),
        model=_put_model(plan.model, tree),
        debs=inputs.debs,
        wheels=tuple((wheel.path.name, wheel.sha256) for wheel in inputs.wheels),
        llama=inputs.llama_facts,
        tools=inputs.tools,
    )
    _write(tree / layout.LOCK, lock.dump())
    _write(tree / layout.LICENCES / "README.txt", _licence_notes(plan))
    shutil.copy(workshop.source / "LICENSE", tree / layout.LICENCES / "the-edge-agent.txt")
    _settle(tree, workshop.epoch_s)
    return lock


def _put_package(workshop: Workshop, site: Path) -> None:
    """The running package, with just enough metadata to be found."""
    shutil.copytree(workshop.package, site / "the_edge_agent", ignore=shutil.ignore_patterns("__pycache__"))
    version = the_edge_agent.__version__
    info = site / f"the_edge_agent-{version}.dist-info"
    info.mkdir()
    _write(info / "METADATA", f"Metadata-Version: 2.1\nName: the-edge-agent\nVersion: {version}\n")


def _put_agent(agent: AgentSource, tree: Path) -> list[LockedFile]:
    """Each agent has a folder of its own, so that imports of two agents can't meet. Its own file comes first."""
    folder = layout.AGENTS / agent.name
    texts = [
        (agent.name, agent.path.name, agent.text),
        *((agent.name, name, text) for name, text in agent.imports),
    ]
    files: list[LockedFile] = []
    for name, relative, text in texts:
        path = folder / relative
        _write(tree / path, text)
        data = text.encode()
        files.append(LockedFile(name, str(path), len(data), hashlib.sha256(data).hexdigest()))
    return files


def _put_model(model: ModelSource | None, tree: Path) -> LockedModel | None:
    """The model's files where $APPDIR's rule looks; the embedded one isn't there twice. None takes that away as well."""
    embedded = tree / EMBEDDED
    if model is None:
        embedded.unlink(missing_ok=True)
        return None
    (tree / layout.MODELS).mkdir(parents=True)
    files: list[LockedFile] = []
    for source in model.files:
        target = tree / layout.MODELS / source.name
        shutil.copyfile(source, target)
        with target.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        files.append(LockedFile(source.name, str(layout.MODELS / source.name), target.stat().st_size, digest))
    if model.embedded:
        embedded.unlink()
        _link(tree, EMBEDDED, layout.MODELS / model.files[0].name)
    return LockedModel(model.name, model.license, model.license_url, tuple(files))


def _licence_notes(plan: BundlePlan) -> str:
    model = plan.model
    lines = [
        f"{plan.name} is made of many parts, each under its own licence:",
        "",
        "- The Edge Agent: the-edge-agent.txt (Apache-2.0)",
        "- Python, the C library and other system libraries: debian/ (one file a package)",
        "- Python packages: the licences in their .dist-info folders below usr/lib/tea",
        "- llama.cpp and its bindings: MIT, in llama_cpp_python-*.dist-info",
        "- the AppImage runtime is linked with squashfuse (BSD-2-Clause), libfuse (LGPL-2.1), zstd (BSD) and zlib",
    ]
    if model is not None and not model.embedded:
        known = model.license or "unknown: ask whoever made it"
        lines.append(f"- the model {model.name}: {known} {model.license_url}".rstrip())
    return "\n".join(lines) + "\n"


def _settle(tree: Path, epoch_s: int) -> None:
    """One owner's modes and one time for everything, folders last as writing into them changes theirs."""
    for folder, folders, names in os.walk(tree, topdown=False):
        for name in (*names, *folders):
            path = Path(folder, name)
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if executable else 0o644)
            os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)
    tree.chmod(0o755)
    os.utime(tree, (epoch_s, epoch_s))


def _link(tree: Path, link: PurePosixPath, target: PurePosixPath) -> None:
    path = tree / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(tree / target, path.parent))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
