"""What a browser is given of the package: enough to run everything, and nothing that needs a machine."""

import subprocess
import sys
import zipfile

from the_edge_agent.browser.archive import engine_modules, write_archive

FORBIDDEN = ("ctypes", "sqlite3", "httpx", "llama_cpp", "grpc", "rich")
IMPORT_ALL = f"""
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
assert all(module.__file__.startswith(sys.argv[1]) for name, module in sys.modules.items() if name.startswith("the_edge"))
native = sorted(set(sys.modules) & set({FORBIDDEN!r}))
assert not native, native
"""


def test_the_archive_imports_alone_and_touches_nothing_native(tmp_path):
    archive = tmp_path / "engine.zip"
    write_archive(archive)
    modules = [name for name in engine_modules() if name != "the_edge_agent.adapters.inline_code"]
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(archive), *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_same_sources_give_the_same_bits(tmp_path):
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    assert write_archive(first) == write_archive(second) < 1_000_000
    assert first.read_bytes() == second.read_bytes()


def test_nothing_of_the_command_line_or_the_daemon_comes_along(tmp_path):
    write_archive(tmp_path / "engine.zip")
    names = zipfile.ZipFile(tmp_path / "engine.zip").namelist()
    assert not [name for name in names if name.startswith(("the_edge_agent/cli", "the_edge_agent/runtime"))]
    assert "yaml/__init__.py" in names
    assert "the_edge_agent/actions/llm_classify.py" in names
