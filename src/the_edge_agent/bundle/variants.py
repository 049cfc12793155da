"""What a bundle can be, as data: architectures, lines, artifact names, the packages a base is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from the_edge_agent.errors import UsageError
from the_edge_agent.workflow.near import did_you_mean

PYTHON_VERSION = "3.11"
#: Where a name of the catalogue is too long for a file name, the one that artifacts carry.
SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {"gemma-3n-e4b": "gemma", "phi-4-mini": "phi4", "gemma-3-1b": "gemma3-1b", "gemma-3-4b": "gemma3-4b"}
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A machine, in the words of those who have one for it."""

    name: str
    debian: str
    multiarch: str
    loader: str
    """Its ELF interpreter, below /lib of the libc6 package."""
    elf_machine: int
    compiler: str
    wheel_platforms: tuple[str, ...]


def _manylinux(machine: str) -> tuple[str, ...]:
    glibc = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)]
    return (*glibc, f"manylinux2014_{machine}")


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "x86_64": Architecture(
            "x86_64", "amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2", 62, "gcc", _manylinux("x86_64")
        ),
        "aarch64": Architecture(
            "aarch64",
            "arm64",
            "aarch64-linux-gnu",
            "ld-linux-aarch64.so.1",
            183,
            "aarch64-linux-gnu-gcc",
            _manylinux("aarch64"),
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """A choice of parts: what the artifact's name begins with, and which lock lists its wheels."""

    name: str
    prefix: str
    lock: str
    help: str
    keeps_sources: bool
    """Whether modules come as source beside their bytecode: bigger, and tracebacks show lines."""


LINES: Mapping[str, Line] = MappingProxyType(
    {
        "full": Line(
            "full",
            "tea-python",
            "bundle.lock",
            "everything: the daemon, MCP, vector memory",
            keeps_sources=True,
        ),
        "lite": Line(
            "lite",
            "tea-lite",
            "bundle-lite.lock",
            "agents and local models alone; starts fastest",
            keeps_sources=False,
        ),
    }
)

#: Debian packages whose files a base is made of; their versions are whatever apt offers, and the lock's ever after.
BASE_PACKAGES = (
    f"python{PYTHON_VERSION}-minimal",
    f"libpython{PYTHON_VERSION}-minimal",
    f"libpython{PYTHON_VERSION}-stdlib",
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "libgomp1",
    "zlib1g",
    "libexpat1",
    "libbz2-1.0",
    "liblzma5",
    "libffi8",
    "libcrypt1",
    "libssl3",
    "libsqlite3-0",
    "libuuid1",
)

#: The shared libraries taken from them, by the name that programs ask for.
BASE_LIBRARIES = tuple(
    """
    libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2 libanl.so.1 libnss_files.so.2
    libnss_dns.so.2 libgcc_s.so.1 libstdc++.so.6 libgomp.so.1 libz.so.1 libexpat.so.1 libbz2.so.1.0 liblzma.so.5
    libffi.so.8 libcrypt.so.1 libssl.so.3 libcrypto.so.3 libsqlite3.so.0 libuuid.so.1
    """.split()  # noqa: SIM905 - names read better as a paragraph
)

#: What nobody needs in a bundle, by name in the standard library: tests, GUIs, installers.
UNUSED_LIBRARY = frozenset(
    """
    test idlelib tkinter lib2to3 ensurepip turtledemo turtle.py pydoc_data distutils LICENSE.txt __phello__
    __phello__.foo.py venv sitecustomize.py
    """.split()  # noqa: SIM905 - as above
)

#: Extension modules left out: test helpers, and those whose library is GPL or of no use without a terminal.
UNUSED_EXTENSIONS = frozenset(
    """
    _ctypes_test _testbuffer _testcapi _testclinic _testimportmultiple _testinternalcapi _testmultiphase _xxtestfuzz
    _xxsubinterpreters xxlimited xxlimited_35 _curses _curses_panel _dbm _gdbm nis ossaudiodev readline
    """.split()  # noqa: SIM905 - as above
)

#: Static libraries that the AppImage runtime is linked with, and the Debian packages that hold them.
RUNTIME_PACKAGES = ("libsquashfuse-dev", "libfuse3-dev", "libzstd-dev", "zlib1g-dev")


def find_architecture(name: str) -> Architecture:
    """The architecture of that name. Raises UsageError that proposes one."""
    if name not in ARCHITECTURES:
        raise UsageError(
            f"there is no architecture {name!r}",
            place="--arch",
            fix=did_you_mean(name, list(ARCHITECTURES), what="choose from"),
        )
    return ARCHITECTURES[name]


def find_line(name: str) -> Line:
    """The line of that name. Raises UsageError that proposes one."""
    if name not in LINES:
        raise UsageError(
            f"there is no line {name!r}",
            place="--line",
            fix=did_you_mean(name, list(LINES), what="choose from"),
        )
    return LINES[name]


def artifact_name(line: Line, model: str, version: str, arch: Architecture) -> str:
    """``tea-python-llm-gemma-0.3.0-x86_64``, without an ending; ``model`` is empty where there is none."""
    kind = f"llm-{SHORT_NAMES.get(model, model)}-" if model else ""
    return f"{line.prefix}-{kind}{version}-{arch.name}"
