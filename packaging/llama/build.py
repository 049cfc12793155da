#!/usr/bin/env python3
"""Build llama.cpp from the pinned llama-cpp-python sdist and put it into a prefix.

    build.py lib    --into .venv     bindings into the environment, libllama + ggml into PREFIX/lib/tea-llama
    build.py server --into .venv     a static llama-server into PREFIX/bin (end-to-end tests and benches only)
    build.py vision --into .venv     libmtmd into PREFIX/lib/tea-llama-vision: what reads images (about three minutes)
    build.py lib --cpu dispatch --machine aarch64 --into DIR     cross built, for a bundle

The sdist is fetched by pip with its hash checked, so bindings and C source always belong together. Its own build takes
five minutes; here the Python part is installed alone and only libllama and ggml are compiled (1.5 minutes on 2 cores).
Results are kept in $XDG_CACHE_HOME/the-edge-agent/llama/KEY, where KEY covers the source's hash, the flags, the
compiler and, for --cpu native, the CPU's features. An entry is complete or absent, and is only ever copied from.

Does not know what will load the library; needs a C++ compiler, and pip in the environment it is started with.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parent.parent / "requirements" / "llama.lock"
TOOLS = ("cmake", "ninja", "scikit-build-core", "typing-extensions")
LIBRARY_DIR = "tea-llama"
VISION_DIR = "tea-llama-vision"
#: What cmake is asked for, and how the files that come of it are named; everything where nothing is given.
BUILT = {"server": "llama-server", "vision": "mtmd"}
ISA_PREFIXES = (
    "avx",
    "amx",
    "bmi",
    "f16c",
    "fma",
    "sse",
    "ssse",
    "asimd",
    "sve",
    "i8mm",
    "bf16",
    "fphp",
)
LIBRARY_SUFFIXES = (".so", ".dylib", ".dll")

COMMON_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
    f"-DCMAKE_INSTALL_RPATH={'@loader_path' if sys.platform == 'darwin' else '$ORIGIN'}",
    "-DGGML_CCACHE=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)
TARGET_FLAGS = {
    "lib": (
        "-DBUILD_SHARED_LIBS=ON",
        "-DLLAMA_BUILD_COMMON=OFF",
        "-DLLAMA_BUILD_TOOLS=OFF",
        "-DLLAMA_BUILD_SERVER=OFF",
    ),
    "vision": (
        "-DBUILD_SHARED_LIBS=ON",
        "-DLLAMA_BUILD_COMMON=OFF",
        "-DLLAMA_BUILD_TOOLS=OFF",
        "-DLLAMA_BUILD_SERVER=OFF",
        "-DLLAMA_BUILD_MTMD=ON",
        "-DMTMD_VIDEO=OFF",
    ),
    "server": (
        "-DBUILD_SHARED_LIBS=OFF",
        "-DLLAMA_BUILD_COMMON=ON",
        "-DLLAMA_BUILD_TOOLS=ON",
        "-DLLAMA_BUILD_SERVER=ON",
    ),
}
CPU_FLAGS = {
    "native": ("-DGGML_NATIVE=ON",),
    "dispatch": ("-DGGML_NATIVE=OFF", "-DGGML_BACKEND_DL=ON", "-DGGML_CPU_ALL_VARIANTS=ON"),
}
#: The compilers' prefix for a machine that isn't this one.
CROSS_PREFIXES = {"x86_64": "x86_64-linux-gnu-", "aarch64": "aarch64-linux-gnu-"}
GPU_FLAGS = {
    "none": ("-DGGML_METAL=OFF",),
    "cuda": ("-DGGML_CUDA=ON",),
    "vulkan": ("-DGGML_VULKAN=ON",),
    "metal": ("-DGGML_METAL=ON", "-DGGML_METAL_EMBED_LIBRARY=ON"),
}


class BuildFailed(Exception):
    """The build can't go on; the text says what to do."""


@dataclass(frozen=True)
class Plan:
    """What to build, decided before anything runs."""

    target: str
    cpu: str
    gpu: str
    bindings_version: str
    source_sha256: str
    compiler: str
    cpu_features: str
    machine: str = platform.machine()

    @property
    def is_cross(self) -> bool:
        """Whether the result runs on another machine than this one."""
        return self.machine != platform.machine()

    @property
    def flags(self) -> tuple[str, ...]:
        """Cmake -D flags, in a fixed order."""
        cross = cross_flags(self.machine) if self.is_cross else ()
        return COMMON_FLAGS + TARGET_FLAGS[self.target] + CPU_FLAGS[self.cpu] + GPU_FLAGS[self.gpu] + cross

    @property
    def key(self) -> str:
        """Name of the cache entry; equal keys mean interchangeable results."""
        parts = (
            self.target,
            self.source_sha256,
            *self.flags,
            self.compiler,
            self.machine,
            self.cpu_features,
        )
        return f"{self.target}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    options = parse_arguments(argv)
    try:
        plan = resolve_plan(options.target, options.cpu, options.gpu, options.machine)
        entry = ensure_entry(plan, options.jobs)
        print(f"{plan.target}: {INSTALL[options.target](entry, options.into.resolve())}")
    except BuildFailed as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Build llama.cpp from the pinned sdist.")
    parser.add_argument("target", choices=sorted(TARGET_FLAGS))
    parser.add_argument(
        "--cpu", choices=sorted(CPU_FLAGS), default="native", help="native: this CPU; dispatch: any"
    )
    parser.add_argument(
        "--gpu", choices=sorted(GPU_FLAGS), default="metal" if sys.platform == "darwin" else "none"
    )
    parser.add_argument(
        "--machine",
        default=platform.machine(),
        help="build for this machine (Linux: x86_64, aarch64; default: this one)",
    )
    parser.add_argument(
        "--into", type=Path, required=True, help="prefix that receives the result, e.g. .venv"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(argv)


def cross_flags(machine: str) -> tuple[str, ...]:
    """What tells cmake to build for another Linux machine with Debian's cross compilers."""
    prefix = CROSS_PREFIXES[machine]
    return (
        "-DCMAKE_SYSTEM_NAME=Linux",
        f"-DCMAKE_SYSTEM_PROCESSOR={machine}",
        f"-DCMAKE_C_COMPILER={prefix}gcc",
        f"-DCMAKE_CXX_COMPILER={prefix}g++",
        "-DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER",
    )


def resolve_plan(target: str, cpu: str, gpu: str, machine: str = platform.machine()) -> Plan:
    """Look at lock, tools, compiler and CPU. Raises BuildFailed naming what is missing."""
    missing = [name for name in TOOLS if not installed_version(name)]
    if missing:
        raise BuildFailed(
            f"this Python lacks {', '.join(missing)}; pip install -r requirements/base.lock first"
        )
    if target == "server" and cpu == "dispatch":
        raise BuildFailed(
            "the server is linked statically, dispatch needs shared libraries; use --cpu native"
        )
    compiler = os.environ.get("CXX", "c++")
    if machine != platform.machine():
        if machine not in CROSS_PREFIXES or cpu == "native":
            raise BuildFailed(
                f"{machine} can't be built for here; use --cpu dispatch and one of {', '.join(CROSS_PREFIXES)}"
            )
        compiler = f"{CROSS_PREFIXES[machine]}g++"
    if shutil.which(compiler) is None:
        package = "g++" if machine == platform.machine() else f"g++-{machine.replace('_', '-')}-linux-gnu"
        raise BuildFailed(f"no C++ compiler {compiler!r}; on Debian: apt-get install {package}")
    version = output([compiler, "--version"]).splitlines()[0]
    bindings_version, sha256 = read_lock()
    features = read_cpu_features() if cpu == "native" else "any"
    return Plan(target, cpu, gpu, bindings_version, sha256, version, features, machine)


def read_lock() -> tuple[str, str]:
    """Version and SHA-256 of the pinned sdist."""
    found = re.search(
        r"^llama-cpp-python==(\S+).*?sha256:([0-9a-f]{64})",
        LOCK.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    if found is None:
        raise BuildFailed(
            f"{LOCK.name} pins no llama-cpp-python with its sha256; restore it from version control"
        )
    return found[1], found[2]


def read_cpu_features() -> str:
    """The CPU's instruction sets as one sorted line: what -march=native looks at. Other flags change with kernels."""
    if sys.platform == "darwin":
        return output(["sysctl", "-n", "machdep.cpu.brand_string"]).strip()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    if line is None:
        return platform.processor()
    return " ".join(sorted(flag for flag in line[1].split() if flag.startswith(ISA_PREFIXES)))


def cache_root() -> Path:
    """Where finished builds are kept, outside any checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "the-edge-agent" / "llama"


def ensure_entry(plan: Plan, jobs: int) -> Path:
    """The cache entry of the plan, built if it isn't there. An interrupted build leaves nothing behind."""
    entry = cache_root() / plan.key
    if entry.is_dir():
        return entry
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=entry.parent) as scratch_name:
        scratch = Path(scratch_name)
        ready = scratch / "ready"
        ready.mkdir()
        build_into(ready, plan, scratch, jobs)
        (ready / "build.json").write_text(json.dumps(describe(plan), indent=1), encoding="utf-8")
        try:
            ready.rename(entry)
        except OSError:
            if not entry.is_dir():  # somebody else finished the same entry first: take theirs
                raise
    return entry


def describe(plan: Plan) -> dict[str, object]:
    """What build.json says, so that a library can be told from another and refused on another CPU."""
    return {
        "bindings_version": plan.bindings_version,
        "source_sha256": plan.source_sha256,
        "flags": plan.flags,
        "compiler": plan.compiler,
        "machine": plan.machine,
        "cpu": plan.cpu,
        "cpu_features": plan.cpu_features,
    }


def build_into(ready: Path, plan: Plan, scratch: Path, jobs: int) -> None:
    """Fetch, compile and collect into ``ready``."""
    sdist = fetch_sdist(scratch)
    with tarfile.open(sdist) as archive:
        extract(archive, scratch / "source")
    source = next((scratch / "source").glob("*/vendor/llama.cpp"))
    if plan.cpu == "dispatch":
        leave_out_variants(source / "ggml" / "src" / "CMakeLists.txt", plan.machine)
    if plan.target == "lib":
        environment = {**os.environ, "CMAKE_ARGS": "-DLLAMA_BUILD=OFF"}
        pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(ready), str(sdist), env=environment)
    build = scratch / "build"
    cmake("-S", str(source), "-B", str(build), "-G", "Ninja", *plan.flags, *path_flags(scratch))
    targets = ("--target", BUILT[plan.target]) if plan.target in BUILT else ()
    cmake("--build", str(build), "-j", str(jobs), *targets)
    for file in collect(build / "bin", plan.target):
        shutil.copy2(file, ready / file.name, follow_symlinks=False)
        if not file.is_symlink():
            strip(ready / file.name, f"{CROSS_PREFIXES[plan.machine]}strip" if plan.is_cross else "strip")


def leave_out_variants(file: Path, machine: str) -> None:
    """Take out the CPU variants that the compiler is too old for: GCC 12 knows neither ARMv9.2 nor SME.

    Such CPUs then run the best variant that is left.
    """
    if machine != "aarch64" or compiles(f"{CROSS_PREFIXES[machine]}gcc", "-march=armv9.2-a+sme"):
        return
    text = file.read_text(encoding="utf-8")
    kept = without_variants(text, "armv9")
    if kept == text:
        raise BuildFailed(f"{file.name} names no armv9 variant any more; build.py has to follow it")
    file.write_text(kept, encoding="utf-8")


def without_variants(text: str, prefix: str) -> str:
    """The CMake file without the lines that add CPU variants of that name."""
    pattern = rf"^[ \t]*ggml_add_cpu_backend_variant\({re.escape(prefix)}[^)]*\)[ \t]*\n"
    return re.sub(pattern, "", text, flags=re.MULTILINE)


def compiles(compiler: str, option: str) -> bool:
    """Whether a compiler takes an option."""
    found = shutil.which(compiler) or shutil.which("cc")
    if found is None:
        return False
    done = subprocess.run(
        [found, option, "-x", "c", "-c", "-o", os.devnull, os.devnull], capture_output=True, check=False
    )
    return done.returncode == 0


def path_flags(scratch: Path) -> tuple[str, ...]:
    """Keep the scratch folder's name out of the result (asserts carry file names), so that two builds are one."""
    if sys.platform == "win32":
        return ()
    option = f"-ffile-prefix-map={scratch}=."
    return (f"-DCMAKE_C_FLAGS={option}", f"-DCMAKE_CXX_FLAGS={option}")


def fetch_sdist(scratch: Path) -> Path:
    """The sdist, hash checked by pip."""
    folder = scratch / "sdist"
    pip(
        "download", "--no-deps", "--no-build-isolation", "--no-binary", "llama-cpp-python",
        "--require-hashes", "-r", str(LOCK), "-d", str(folder),
    )  # fmt: skip
    return next(folder.glob("*.tar.gz"))


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack without links or names that lead outside."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
    else:
        archive.extractall(folder)


def collect(folder: Path, target: str) -> list[Path]:
    """What the build made, links included: libX.so (dlopen) and libX.so.0 (NEEDED) must be one file, or the loader
    takes them for two libraries with a state each.
    """
    wanted = LIBRARY_SUFFIXES if target == "lib" else (BUILT[target],)
    return [path for path in sorted(folder.iterdir()) if any(part in path.name for part in wanted)]


def strip(file: Path, tool: str) -> None:
    """Drop symbols that nobody needs at run time."""
    if sys.platform == "linux" and shutil.which(tool):
        subprocess.run([tool, "--strip-unneeded", str(file)], check=True)


def install_library(entry: Path, prefix: Path) -> str:
    """Install the bindings with the prefix's Python and copy the libraries; running twice changes nothing."""
    wheel = next(entry.glob("*.whl"))
    if installed_version("llama-cpp-python") != wheel.name.split("-")[1]:
        pip("install", "--no-deps", "--no-index", "--force-reinstall", str(wheel))
    libraries = [path for path in entry.iterdir() if path.suffix != ".whl"]
    target = prefix / "lib" / LIBRARY_DIR
    replace_folder(target, libraries)
    return str(target)


def install_vision(entry: Path, prefix: Path) -> str:
    """Copy libmtmd beside the folder of libllama, which it finds loaded already."""
    target = prefix / "lib" / VISION_DIR
    replace_folder(target, list(entry.iterdir()))
    return str(target)


def install_server(entry: Path, prefix: Path) -> str:
    """Copy llama-server into PREFIX/bin in one step."""
    server = next(path for path in entry.iterdir() if path.stem == "llama-server")
    target = prefix / "bin" / server.name
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy2(server, temporary)
    temporary.replace(target)
    return str(target)


INSTALL = {"lib": install_library, "vision": install_vision, "server": install_server}


def installed_version(distribution: str) -> str:
    """Version in the running environment, empty if it isn't there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def replace_folder(target: Path, files: Sequence[Path]) -> None:
    """Put files into target in one step, so that nobody ever sees half of them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch_name:
        new, old = Path(scratch_name, "new"), Path(scratch_name, "old")
        new.mkdir()
        for file in files:
            shutil.copy2(file, new / file.name, follow_symlinks=False)
        if target.exists():
            target.rename(old)
        new.rename(target)


def cmake(*arguments: str) -> None:
    """Run cmake and ninja of the running environment, not whatever the system has."""
    scripts = Path(sys.executable).parent
    path = f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"
    run([str(scripts / "cmake"), *arguments], env={**os.environ, "PATH": path})


def pip(*arguments: str, env: dict[str, str] | None = None) -> None:
    """Run the environment's own pip."""
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], env=env)


def run(command: Sequence[str], env: dict[str, str] | None = None) -> None:
    """Run quietly; on failure show the end of what was said."""
    print("+", " ".join(command[:6]), "..." if len(command) > 6 else "", flush=True)
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise BuildFailed(f"{Path(command[0]).name} failed with {done.returncode}:\n{tail}")


def output(command: Sequence[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
