"""Finds llama.cpp's ctypes bindings and the library they need, and loads both once.

The bindings are ``llama_cpp.llama_cpp``, the low-level module of llama-cpp-python. Importing it the ordinary way runs
the package's ``__init__``, which pulls numpy, jinja2 and the high-level API: 330 ms against 45 ms measured, and numpy
besides. So the package is put in place unexecuted while its one submodule is imported, and taken away again: whoever
imports ``llama_cpp`` later gets the real, whole package, sharing this submodule.

The library is looked for in LLAMA_CPP_LIB_PATH, then in PREFIX/lib/tea-llama (where packaging/llama/build.py puts it),
then where a llama-cpp-python wheel carries its own. Knows nothing of models.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.machinery
import importlib.util
import json
import logging
import os
import platform
import re
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from the_edge_agent.errors import LibraryMissing
from the_edge_agent.llama.abi import check_layout, library_path

LIBRARY_DIR = "tea-llama"
PATH_VARIABLE = "LLAMA_CPP_LIB_PATH"
INSTALL_HINT = "install it with: pip install 'the-edge-agent[llm-local]' (in a checkout: make setup)"
#: Instruction sets whose absence ends the process; other CPU flags come and go with kernels.
ISA_PREFIXES = ("avx", "amx", "bmi", "f16c", "fma", "sse", "ssse", "asimd", "sve", "i8mm", "bf16")

logger = logging.getLogger("the_edge_agent.llama")

_lock = threading.Lock()
_loaded: Any = None


def load_bindings() -> Any:
    """The ctypes module, loaded and checked on the first call.

    Raises LibraryMissing where bindings or library are absent or built for another CPU, AbiMismatch where they disagree.
    """
    global _loaded  # noqa: PLW0603 - one library a process, as the dynamic loader has it
    with _lock:
        if _loaded is None:
            _loaded = _load()
    return _loaded


def _load() -> Any:
    spec = importlib.machinery.PathFinder.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise LibraryMissing("llama-cpp-python is not installed", fix=INSTALL_HINT)
    library_dir = find_library_dir(Path(sys.prefix))
    if library_dir is not None:
        check_build(library_dir, Path(spec.origin))
    try:
        with variable(PATH_VARIABLE, library_dir), bare_package(spec):
            bindings: Any = importlib.import_module("llama_cpp.llama_cpp")
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise LibraryMissing(f"libllama can't be loaded: {error}", fix=INSTALL_HINT) from error
    check_layout(bindings)
    _load_cpu_variants(bindings)
    return bindings


def find_library_dir(prefix: Path) -> Path | None:
    """The folder that holds libllama for this prefix; None leaves it to the bindings."""
    if PATH_VARIABLE in os.environ:
        return Path(os.environ[PATH_VARIABLE])
    folder = prefix / "lib" / LIBRARY_DIR
    return folder if folder.is_dir() else None


def check_build(library_dir: Path, package_init: Path) -> None:
    """Refuse a library whose build.json names other bindings or instructions that this CPU lacks."""
    try:
        build = json.loads((library_dir / "build.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    declared = re.search(r'__version__ = "([^"]+)"', package_init.read_text(encoding="utf-8"))
    wanted = str(build.get("bindings_version", ""))
    if wanted and declared and wanted != declared[1]:
        raise LibraryMissing(
            f"libllama was built for llama-cpp-python {wanted}, installed is {declared[1]}",
            place=str(library_dir),
            fix="build it again (make setup)",
        )
    lacking = missing_instructions(str(build.get("cpu_features", "")), _read_cpu_flags())
    if lacking:
        raise LibraryMissing(
            f"libllama was built for another CPU; this one lacks {', '.join(lacking)}",
            place=str(library_dir),
            fix="build it again on this machine (make setup)",
        )


def missing_instructions(built_for: str, present: str) -> list[str]:
    """Instruction sets in ``built_for`` that ``present`` lacks (both space-separated); empty if either is unknown."""
    if not built_for or not present or built_for == "any":
        return []
    wanted = {flag for flag in built_for.split() if flag.startswith(ISA_PREFIXES)}
    return sorted(wanted - set(present.split()))


def _read_cpu_flags() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - a bounded read
            head = file.read(16_384)
    except OSError:
        return ""
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", head, re.MULTILINE)
    return line[1] if line else ""


@contextmanager
def variable(name: str, folder: Path | None) -> Generator[None]:
    """A variable that bindings read while they are imported, set for just that long; a caller's own one stays."""
    if folder is None or name in os.environ:
        yield
        return
    os.environ[name] = str(folder)
    try:
        yield
    finally:
        del os.environ[name]


@contextmanager
def bare_package(spec: importlib.machinery.ModuleSpec) -> Generator[None]:
    """``llama_cpp`` as an unexecuted package, unless the real one is there already."""
    if "llama_cpp" in sys.modules:
        yield
        return
    sys.modules["llama_cpp"] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules["llama_cpp"]


def _load_cpu_variants(bindings: Any) -> None:
    """In a dispatch build the CPU backends are plugins; ggml picks the best one for this machine.

    Raises LibraryMissing where this CPU is too old for each of them.
    """
    folder = Path(library_path(bindings)).parent
    if not any(folder.glob("*ggml-cpu-*")):
        return
    name = next(folder.glob("*ggml.*"), None)
    if name is None:
        raise LibraryMissing("libggml is not beside libllama", place=str(folder), fix=INSTALL_HINT)
    library = ctypes.CDLL(str(name))
    library.ggml_log_set(
        _silent, None
    )  # it would tell stderr which file it took; LlamaLibrary listens afterwards
    load_all = library.ggml_backend_load_all_from_path
    load_all.argtypes, load_all.restype = [ctypes.c_char_p], None
    load_all(os.fsencode(folder))
    features = cpu_features(library)
    if features is None:
        raise LibraryMissing(
            "this CPU is too old for every variant of ggml that is here",
            place=str(folder),
            fix="run it on a newer machine, or name an API with --backend api",
        )
    warning = slow_cpu_warning(platform.machine(), features)
    if warning:
        logger.warning("%s", warning)


class _Feature(ctypes.Structure):
    """ggml's own: a name and "0" or "1"; the list ends with an empty name."""

    _fields_: ClassVar = [("name", ctypes.c_char_p), ("value", ctypes.c_char_p)]


def cpu_features(library: ctypes.CDLL) -> frozenset[str] | None:
    """The instructions that the chosen CPU variant uses (ggml's names: AVX2, FMA, ...); None where none was loaded."""
    find = library.ggml_backend_reg_by_name
    find.argtypes, find.restype = [ctypes.c_char_p], ctypes.c_void_p
    registry = find(b"CPU")
    if not registry:
        return None
    get_address = library.ggml_backend_reg_get_proc_address
    get_address.argtypes, get_address.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_void_p
    address = get_address(registry, b"ggml_backend_get_features")
    if not address:
        return frozenset()
    entries = ctypes.CFUNCTYPE(ctypes.POINTER(_Feature), ctypes.c_void_p)(address)(registry)
    found: set[str] = set()
    for entry in iter(entries):
        if not entry.name:
            break
        if entry.value != b"0":
            found.add(entry.name.decode())
    return frozenset(found)


def slow_cpu_warning(machine: str, features: frozenset[str]) -> str:
    """What to say of a CPU without the instructions that models are fast with; empty for one that has them."""
    if machine != "x86_64" or not features or "AVX2" in features:
        return ""
    return "this CPU has no AVX2: models run on it, several times slower than on one made since 2013"


def _ignore(_level: int, _text: bytes, _data: int | None) -> None:
    """Take a line of ggml's log and say nothing."""


#: ggml keeps the pointer until another callback is set, so this lives as long as the process.
_silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_ignore)
