"""From a plan to an artifact on disk: fetches and builds the inputs, puts the tree together, makes the file of it.

An interrupted build leaves nothing where the artifact goes: it is made beside it and moved there whole.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from the_edge_agent.bundle.appimage import resolve_runtime, write_appimage
from the_edge_agent.bundle.debs import DebSource
from the_edge_agent.bundle.llama import build_llama, check_llama
from the_edge_agent.bundle.lock import BundleLock
from the_edge_agent.bundle.plan import BundlePlan
from the_edge_agent.bundle.tree import Inputs, put_tree
from the_edge_agent.bundle.wheels import check_pinned, fetch_wheels
from the_edge_agent.bundle.workshop import Workshop, call
from the_edge_agent.errors import BundleFailed, UsageError

OnStep = Callable[[str], None]
"""Told what is being done, a line a step."""

#: A tree beside its squashfs, and room to breathe.
SPACE_FACTOR = 2.2
BASE_BYTES = 250_000_000


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a build may be told beyond its plan."""

    llama: Path | None = None
    """A folder with libllama for every CPU; built where it is None."""
    locked: BundleLock | None = None
    runtime: Path | None = None
    runtime_sha256: str | None = None


def gather(plan: BundlePlan, workshop: Workshop, options: BuildOptions, on_step: OnStep) -> Inputs:
    """Fetch packages and wheels, build libllama. Raises BundleFailed, DigestMismatch."""
    locked = options.locked
    on_step("looking up the packages of the base")
    pinned = {deb.name: deb for deb in locked.debs} if locked else None
    debs = DebSource(workshop, plan.arch).resolve(plan.packages, pinned)
    on_step("fetching Python packages")
    wheels = fetch_wheels(workshop, plan.line.lock, plan.arch)
    if locked is not None:
        check_pinned(wheels, locked.wheels)
    on_step(
        "building llama.cpp for every CPU (minutes, the first time)"
        if options.llama is None
        else "taking llama.cpp"
    )
    llama = options.llama or build_llama(workshop, plan.arch)
    facts = check_llama(llama, plan.arch)
    compiler = call([plan.arch.compiler, "--version"]).splitlines()[0]
    return Inputs(debs, wheels, llama, facts, {"compiler": compiler})


def make_dir(
    plan: BundlePlan, workshop: Workshop, options: BuildOptions, target: Path, on_step: OnStep
) -> BundleLock:
    """Make the folder ``target``. Raises UsageError where something is there, BundleFailed."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(
            f"{target} is there already", place="--output", fix="remove it, or name another folder"
        )
    inputs = gather(plan, workshop, options, on_step)
    with _scratch(plan, target) as scratch:
        on_step("putting the folder together")
        tree = scratch / "tree"
        tree.mkdir()
        lock = put_tree(plan, inputs, workshop, tree)
        check_locked(lock, options.locked)
        if target.exists():
            target.rmdir()
        tree.rename(target)
    return lock


def make_appimage(
    plan: BundlePlan, workshop: Workshop, options: BuildOptions, target: Path, on_step: OnStep
) -> BundleLock:
    """Make the file ``target``, in place of an older one. Raises BundleFailed, DigestMismatch."""
    inputs = gather(plan, workshop, options, on_step)
    runtime = resolve_runtime(workshop, plan.arch, options.runtime, options.runtime_sha256)
    with _scratch(plan, target) as scratch:
        on_step("putting the folder together")
        tree = scratch / "tree"
        tree.mkdir()
        lock = put_tree(plan, inputs, workshop, tree)
        check_locked(lock, options.locked)
        on_step("packing it")
        made = scratch / "made"
        write_appimage(tree, runtime, made, workshop.epoch_s)
        made.replace(target)
    return lock


def check_locked(lock: BundleLock, locked: BundleLock | None) -> None:
    """Raise BundleFailed naming the first input that differs from the lock that was to be kept."""
    if locked is None:
        return
    ours, theirs = lock.to_json(), locked.to_json()
    off = [key for key in ours if ours[key] != theirs.get(key)]
    if off:
        raise BundleFailed(
            f"these differ from the lock: {', '.join(off)}",
            place="--locked",
            fix="check out the version and install the compiler that the lock names",
        )


@contextmanager
def _scratch(plan: BundlePlan, target: Path) -> Generator[Path]:
    parent = target.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    model_bytes = sum(file.stat().st_size for file in plan.model.files) if plan.model else 0
    needed = int(SPACE_FACTOR * model_bytes) + BASE_BYTES
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise BundleFailed(
            f"this takes about {needed / 1e9:.1f} GB for a while, and {free / 1e9:.1f} GB are free",
            place=str(parent),
            fix="make room, or name another --output",
        )
    with tempfile.TemporaryDirectory(prefix=".tea-bundle-", dir=parent) as name:
        yield Path(name)
