"""Finds libmtmd, llama.cpp's library for images, and its ctypes bindings; loads both once.

``llama_cpp.mtmd_cpp`` reads MTMD_CPP_LIB while it is imported. The library is looked for there, beside libllama, in
PREFIX/lib/tea-llama-vision (where packaging/llama/build.py puts it), and where a llama-cpp-python wheel carries its own. It
is optional: a build without it reads text. Knows nothing of projectors.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import threading
from pathlib import Path
from typing import Any

from the_edge_agent.errors import UnsupportedFeature
from the_edge_agent.llama.abi import library_path
from the_edge_agent.llama.bindings import bare_package, load_bindings, variable

VISION_DIR = "tea-llama-vision"
PATH_VARIABLE = "MTMD_CPP_LIB"
FIX = (
    "build it with packaging/llama/build.py vision --into .venv, or install llama-cpp-python with its own "
    "libraries; or leave the images out"
)

_lock = threading.Lock()
_loaded: Any = None


def load_vision_bindings() -> Any:
    """The ctypes module of libmtmd. Raises UnsupportedFeature where this build of llama.cpp has none."""
    global _loaded  # noqa: PLW0603 - one library a process, as the dynamic loader has it
    with _lock:
        if _loaded is None:
            _loaded = _load()
    return _loaded


def _load() -> Any:
    bindings = load_bindings()
    spec = importlib.machinery.PathFinder.find_spec("llama_cpp")
    assert spec is not None  # the bindings are part of it
    folder = find_vision_dir(Path(library_path(bindings)).parent, Path(sys.prefix))
    try:
        with variable(PATH_VARIABLE, folder), bare_package(spec):
            return importlib.import_module("llama_cpp.mtmd_cpp")
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise UnsupportedFeature(f"this llama.cpp build reads no images: {error}", fix=FIX) from error


def find_vision_dir(beside: Path, prefix: Path) -> Path | None:
    """The folder that holds libmtmd; None leaves it to the bindings."""
    if PATH_VARIABLE in os.environ:
        return Path(os.environ[PATH_VARIABLE])
    folders = (beside, prefix / "lib" / VISION_DIR)
    return next((folder for folder in folders if any(folder.glob("*mtmd.*"))), None)
