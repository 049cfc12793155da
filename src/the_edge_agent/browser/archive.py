"""Writes the engine as one zip for Pyodide: what ``boot`` and the actions import, and PyYAML and Jinja2 in pure Python.

    python -m the_edge_agent.browser.archive engine.zip

The modules are found by reading imports, so nothing native comes along unless something imports it, and then a test
says so. Twice the same bits from the same sources. Runs natively, at build time only.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from the_edge_agent.errors import UsageError

PACKAGE = "the_edge_agent"
#: Where the search begins; the actions are named in a table and imported by name, so all of them are roots.
ROOTS = ("browser.boot", "workflow.render", "adapters.inline_code")
_THIRD_PARTY = ("yaml", "jinja2", "markupsafe")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def engine_modules() -> dict[str, Path]:
    """Every module of this package that a tab needs, by its dotted name, packages included; in order."""
    root = Path(__file__).parents[1]
    actions = [f"actions.{path.stem}" for path in (root / "actions").glob("*.py")]
    waiting = [f"{PACKAGE}.{name}" for name in (*ROOTS, *actions)]
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop().removesuffix(".__init__")
        path = _module_path(root, name)
        if name in found or path is None:
            continue
        found[name] = path
        waiting.append(name.rpartition(".")[0])
        waiting.extend(_imports(ast.parse(path.read_bytes())))
    return dict(sorted(found.items()))


def engine_files() -> Iterator[tuple[str, Path]]:
    """Every file of the archive: its name there, and where it is now; in order."""
    root = Path(__file__).parents[1]
    for path in engine_modules().values():
        yield f"{PACKAGE}/{path.relative_to(root).as_posix()}", path
    for name in _THIRD_PARTY:
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


def _module_path(root: Path, name: str) -> Path | None:
    if name.partition(".")[0] != PACKAGE:
        return None
    folder = root.joinpath(*name.split(".")[1:])
    package, module = folder / "__init__.py", folder.with_suffix(".py")
    return package if package.is_file() else module if module.is_file() else None


def _imports(node: ast.AST) -> Iterator[str]:
    """Names that a tree imports, at any depth, but not what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from _imports(child)


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
