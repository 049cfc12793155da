"""What holds for the whole tree: no machine paths, no registry hosts, locks with hashes, files of one noun."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".sh",
    ".lock",
    ".txt",
    ".json",
    ".jinja",
    ".c",
    ".in",
    "",
}


def tracked_texts() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    paths = [ROOT / name for name in listing.decode().split("\0") if name]
    return [path for path in paths if path.suffix in TEXT_SUFFIXES and path.is_file()]


def test_no_tracked_file_names_a_download_host_of_a_registry_or_a_path_of_one_machine() -> None:
    # Spelt in two halves, or this very file would be found.
    halves = [
        ("files.python", "hosted"),
        ("pypi.org", "/simple"),
        ("registry.npm", "js"),
        ("/ro", "ot/"),
        ("/wo", "rk/"),
    ]
    forbidden = re.compile("|".join(re.escape("".join(pair)) for pair in halves))
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked_texts()
        if (match := forbidden.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert found == []


@pytest.mark.parametrize("lock", sorted(path.name for path in (ROOT / "requirements").glob("*.lock")))
def test_every_locked_package_has_a_hash_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"(?m)^\s*#.*\n", "", text).strip())
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_no_source_file_has_grown_a_second_noun() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "src").rglob("*.py")
        if "_proto" not in path.parts and path.name != "errors.py"
    }
    assert {name for name, length in lengths.items() if length > 400} == set()


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if "_proto" not in path.parts
        and not path.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]
    assert silent == []


def test_the_package_imports_without_any_extra() -> None:
    code = (
        "import sys\n"
        "for name in ('llama_cpp', 'grpc', 'numpy', 'mcp', 'ray', 'starlette', 'uvicorn', 'gguf', 'jsonschema'):\n"
        "    sys.modules[name] = None\n"
        "import the_edge_agent, the_edge_agent.workflow, the_edge_agent.engine, the_edge_agent.actions, the_edge_agent.app\n"
        "import the_edge_agent.cli.main, the_edge_agent.backends.openai, the_edge_agent.backends.scripted\n"
        "from the_edge_agent import Workflow, run, RunStore\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_link_between_documents_leads_somewhere() -> None:
    broken: list[str] = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("models/**/*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if (
                "://" not in target
                and not target.startswith("mailto:")
                and not (page.parent / target).exists()
            ):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_make_help_lists_every_task() -> None:
    listing = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for task in ("system-deps", "setup", "demo", "test", "lint", "bench", "e2e", "soak", "fmt"):
        assert f"make {task} " in listing


def test_a_missing_system_tool_is_answered_with_the_line_that_installs_it(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("make", "git", "gcc", "sh", "bash", "awk", "id"):
        found = subprocess.run(
            ["sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        (tools / name).symlink_to(found)
    done = subprocess.run(
        [tools / "make", "check-tools", f"PYTHON={sys.executable}"],
        cwd=ROOT, capture_output=True, text=True, env={"PATH": str(tools)}, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "apt-get install -y g++" in done.stderr
