"""libllama for a bundle: built once for every CPU of an architecture, and the bindings that belong to it.

``packaging/llama/build.py`` does the building and keeps the result; here it is asked and its result is copied in.
"""

from __future__ import annotations

import importlib.machinery
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from the_edge_agent.bundle import layout
from the_edge_agent.bundle.variants import Architecture
from the_edge_agent.bundle.workshop import Workshop, call
from the_edge_agent.errors import BundleFailed

BUILD_FACTS = ("bindings_version", "source_sha256", "compiler", "machine", "cpu")


def build_llama(workshop: Workshop, arch: Architecture) -> Path:
    """The folder with libllama and ggml, every CPU variant a plugin. Takes minutes the first time."""
    prefix = workshop.cache / "llama" / arch.name
    script = workshop.source / "packaging" / "llama" / "build.py"
    call([sys.executable, script, "lib", "--cpu", "dispatch", "--machine", arch.name, "--into", prefix])
    return prefix / "lib" / "tea-llama"


def check_llama(folder: Path, arch: Architecture) -> Mapping[str, str]:
    """What build.json says of a library. Raises BundleFailed where it is for one CPU alone or another machine."""
    try:
        build = json.loads((folder / "build.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleFailed(
            "there is no libllama with its build.json",
            place=str(folder),
            fix="packaging/llama/build.py makes one",
        ) from error
    facts = {key: str(build.get(key, "")) for key in BUILD_FACTS}
    if facts["cpu"] != "dispatch":
        raise BundleFailed(
            "this libllama was built for the CPU of the machine that built it",
            place=str(folder),
            fix="build it with --cpu dispatch, or leave --llama out",
        )
    if facts["machine"] != arch.name:
        raise BundleFailed(
            f"this libllama is for {facts['machine']}", place=str(folder), fix=f"name one for {arch.name}"
        )
    return facts


def put_llama(folder: Path, tree: Path) -> None:
    """Copy the library and the bindings into the tree."""
    target = tree / layout.LLAMA
    target.mkdir(parents=True)
    for file in sorted(folder.iterdir()):
        shutil.copy(file, target / file.name, follow_symlinks=False)
    spec = importlib.machinery.PathFinder.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise BundleFailed("llama-cpp-python is not installed here", place="llama_cpp", fix="make setup")
    package = Path(spec.origin).parent
    site = tree / layout.SITE_PACKAGES
    shutil.copytree(
        package, site / package.name, ignore=shutil.ignore_patterns("__pycache__", "server", "lib")
    )
    for info in sorted(package.parent.glob("llama_cpp_python-*.dist-info")):
        copied = site / info.name
        shutil.copytree(
            info, copied, ignore=lambda _folder, names: {name for name in names if name not in _KEPT}
        )


_KEPT = frozenset({"METADATA", "licenses", "LICENSE", "LICENSE.md"})
