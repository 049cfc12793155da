"""The licences of what a web bundle holds beside this project's own files. Reads them from where they were installed."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from the_edge_agent.errors import BundleFailed


class _Part(NamedTuple):
    name: str
    package: str
    license: str
    source: str


#: Part, npm package it came in, its licence, where its source is.
_FROM_NPM = (
    _Part("wllama", "@wllama/wllama", "MIT", "https://github.com/ngxson/wllama"),
    _Part("llama.cpp (inside wllama.wasm)", "@wllama/wllama", "MIT", "https://github.com/ggml-org/llama.cpp"),
    _Part("Pyodide", "pyodide", "MPL-2.0", "https://github.com/pyodide/pyodide"),
    _Part(
        "CPython and its standard library (inside Pyodide)",
        "pyodide",
        "PSF-2.0",
        "https://github.com/python/cpython",
    ),
)
_FROM_PYPI = (
    _Part("PyYAML", "PyYAML", "MIT", "https://github.com/yaml/pyyaml"),
    _Part("Jinja2", "Jinja2", "BSD-3-Clause", "https://github.com/pallets/jinja"),
    _Part("MarkupSafe", "MarkupSafe", "BSD-3-Clause", "https://github.com/pallets/markupsafe"),
)
_LICENSE_STEMS = ("license", "licence", "copying")


def third_party_text(node_modules: Path) -> str:
    """One text: a paragraph a part, with its licence's own text where its package brings it."""
    parts: list[str] = ["What this site holds beside The Edge Agent (Apache-2.0, see LICENSE).\n"]
    for part in _FROM_NPM:
        folder = node_modules / part.package
        parts.append(_paragraph(part, _npm_version(folder), _license_in(folder)))
    parts += [_paragraph(part, *_installed(part.package)) for part in _FROM_PYPI]
    return "\n".join(parts)


def _paragraph(part: _Part, version: str, text: str) -> str:
    head = f"{part.name} (package {part.package} {version})\nLicence: {part.license}\nSource: {part.source}\n"
    return f"{'=' * 80}\n{head}" + (f"\n{text.strip()}\n" if text else "")


def _npm_version(folder: Path) -> str:
    try:
        return str(json.loads((folder / "package.json").read_bytes())["version"])
    except (OSError, ValueError, KeyError):
        raise BundleFailed(
            f"{folder.name} isn't installed", place=str(folder), fix="run `npm install` in web/"
        ) from None


def _license_in(folder: Path) -> str:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stem.lower() in _LICENSE_STEMS:
            return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _installed(package: str) -> tuple[str, str]:
    try:
        found = distribution(package)
    except PackageNotFoundError:
        raise BundleFailed(f"{package} isn't installed", place="tea bundle web", fix="make setup") from None
    for file in found.files or ():
        if Path(file.name).stem.lower() in _LICENSE_STEMS:
            return found.version, file.read_text(encoding="utf-8")
    return found.version, ""
