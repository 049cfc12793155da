"""The package loads on systems without Unix's modules, and what can't work there says so in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import the_edge_agent

UNIX_ONLY = (
    "fcntl",
    "resource",
    "pwd",
    "grp",
    "termios",
    "tty",
    "pty",
    "syslog",
    "crypt",
    "spwd",
    "readline",
    "curses",
)
#: A Python as Windows has it, as far as the package can see: other people's modules are loaded first, then Unix goes away.
WITHOUT_UNIX = f"""
import asyncio, importlib, multiprocessing, os, platform, signal, socket, sqlite3, ssl, subprocess, sys, tempfile, types
import httpx, jinja2, rich.console, rich.live, rich.markdown, rich.progress, rich.table, yaml
for name in ("grpc", "grpc_health.v1.health", "grpc_reflection.v1alpha.reflection", "mcp", "mcp.server.stdio", "mcp.client.stdio",
             "starlette.applications", "uvicorn.protocols.http.h11_impl", "uvicorn.server", "numpy", "sqlite_vec"):
    try:
        importlib.import_module(name)
    except ImportError:
        pass
locking = types.ModuleType("msvcrt")
locking.LK_NBLCK, locking.locking = 2, lambda descriptor, mode, count: None
sys.modules["msvcrt"] = locking
for name in {UNIX_ONLY!r}:
    sys.modules[name] = None
for module, names in (
    (os, ("geteuid", "getuid", "fork", "setsid", "killpg", "getpgid", "O_CLOEXEC", "O_NONBLOCK", "mkfifo", "statvfs", "pread", "preadv", "pwrite",
          "sched_getaffinity", "sysconf", "uname")),
    (signal, ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGPIPE", "SIGTSTP", "setitimer", "SIGQUIT", "pthread_sigmask")),
    (socket, ("AF_UNIX", "send_fds", "recv_fds")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "win32"
"""
PACKAGE = Path(the_edge_agent.__file__).parent


def modules() -> list[str]:
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if "__pycache__" in parts or parts[-1] == "__main__" or "_proto" in parts:
            continue
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


#: A child that the daemon starts; it is a program, and imports what it likes.
PROGRAMS = {"the_edge_agent.runtime.launch"}


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_UNIX + code], capture_output=True, text=True, timeout=200, check=False
    )


def test_no_module_needs_unix_to_be_imported() -> None:
    code = f"""
import importlib
failed = []
for name in {[name for name in modules() if name not in PROGRAMS]!r}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        if error.name in {UNIX_ONLY!r} or not (error.name or "").partition(".")[0] in {OPTIONAL!r}:
            failed.append(f"{{name}}: {{error}}")
    except Exception as error:
        failed.append(f"{{name}}: {{type(error).__name__}}: {{error}}")
print(*failed, sep="\\n")
"""
    done = run(code)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


#: Packages of extras, which a base install lacks.
OPTIONAL = ("llama_cpp", "numpy", "grpc", "grpc_health", "grpc_reflection", "google", "starlette", "uvicorn", "h11", "mcp", "ray", "gguf", "sqlite_vec", "js", "pyodide", "pyodide_js")  # fmt: skip


def test_a_file_is_checked_without_unix() -> None:
    example = PACKAGE.parents[1] / "examples" / "llm" / "local-chat.yaml"
    if not example.is_file():
        pytest.skip("the package was installed without its examples")
    done = run(f"""
import sys
sys.argv = ["tea", "validate", {str(example)!r}]
from the_edge_agent.cli.main import main
sys.exit(main())
""")
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout


def test_a_models_header_is_read_and_its_bytes_hashed_without_unix() -> None:
    done = run("""
from the_edge_agent.gguf import read_header
from the_edge_agent.store.locate import embedded_model_path
from the_edge_agent.store.lock import hold_lock
from the_edge_agent.gguf.positioned import read_at, read_into, write_at, PRIVATE_BINARY
from pathlib import Path
import tempfile
print(read_header(embedded_model_path()).architecture)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "file")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | PRIVATE_BINARY)
    assert write_at(descriptor, memoryview(b"efgh"), 4) == 4
    assert write_at(descriptor, memoryview(b"abcd"), 0) == 4
    assert read_at(descriptor, 3, 2) == b"cde"
    view = memoryview(bytearray(6))
    assert read_into(descriptor, view, 5) == 3
    assert bytes(view) == b"fgh" + bytes(3)
    os.close(descriptor)
    with hold_lock(Path(folder, "lock"), while_waiting=lambda: None) as waited:
        assert not waited
""")
    assert (done.returncode, done.stdout.strip()) == (0, "llama"), done.stderr


def test_the_daemon_answers_with_a_sentence_where_it_cannot_run() -> None:
    done = run("""
import sys
sys.argv = ["tea", "runtime", "serve"]
from the_edge_agent.cli.main import main
sys.exit(main())
""")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("UnsupportedFeature: tea runtime: the daemon needs Unix sockets,")


def test_installing_a_service_answers_with_a_sentence_too(tmp_path: Path) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("this machine has a systemd; it isn't ours to change")
    done = run(f"""
import os, sys
os.environ["HOME"] = {str(tmp_path)!r}
sys.argv = ["tea", "runtime", "install", "--user"]
from the_edge_agent.cli.main import main
sys.exit(main())
""")
    assert done.returncode == 1
    assert "wasn't started by systemd" in done.stderr
