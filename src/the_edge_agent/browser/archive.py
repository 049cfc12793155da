"""Writes the engine as one zip for Pyodide: this package without its native parts, and PyYAML and Jinja2 in pure Python.

    python -m the_edge_agent.browser.archive engine.zip

Twice the same bits from the same sources. Runs natively, at build time only.
"""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from the_edge_agent.errors import UsageError

#: What can't run in a browser, or has no use there.
_NATIVE = frozenset(
    {"app.py", "__main__.py", "bundle", "cli", "runtime", "serving", "store", "testing", "gguf"}
)
#: What of the packages that know native libraries is pure, and used.
_PURE: dict[str, frozenset[str]] = {
    "llama": frozenset(
        {
            "__init__",
            "answer_grammar",
            "chat_formats",
            "chat_template",
            "prompt",
            "template_sandbox",
            "tool_calls",
        }
        | {"tool_gate", "tool_prompt"}
    ),
    "adapters": frozenset({"__init__", "inline_code"}),
    "backends": frozenset({"__init__"}),
}
_PACKAGES = ("yaml", "jinja2", "markupsafe")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def engine_files() -> Iterator[tuple[str, Path]]:
    """Every file of the archive: its name there, and where it is now; in order."""
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        top = relative.parts[0]
        pure = _PURE.get(top)
        if (
            top in _NATIVE
            or (pure is not None and relative.stem not in pure)
            or relative.name == "archive.py"
        ):
            continue
        yield f"{root.name}/{relative.as_posix()}", path
    for name in _PACKAGES:
        folder = _package_folder(name)
        for path in sorted(folder.rglob("*.py")):
            yield f"{name}/{path.relative_to(folder).as_posix()}", path


def write_archive(target: Path) -> int:
    """Write the zip and give its size in bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in engine_files():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return target.stat().st_size


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UsageError(
            f"{name} isn't installed", fix="build in the project's virtual environment: make setup"
        )
    return Path(spec.origin).parent


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m the_edge_agent.browser.archive ENGINE.zip")
    write_archive(Path(sys.argv[1]))
