"""``tea --impl [--features]``: what this tea is made of. It looks for parts without importing the heavy ones."""

from __future__ import annotations

import platform
from importlib import metadata
from importlib.util import find_spec
from typing import NamedTuple

from the_edge_agent import __version__
from the_edge_agent.cli.console import Console
from the_edge_agent.cli.parser import Parser, parse
from the_edge_agent.cli.text import format_bytes


class Feature(NamedTuple):
    """An optional part: the module that shows it is there, what it gives, the extra that brings it."""

    name: str
    module: str
    help: str
    extra: str


FEATURES = (
    Feature("llm-local", "llama_cpp", "models that run in this process (llama.cpp)", "llm-local"),
    Feature("api", "httpx", "models behind an OpenAI-compatible API", ""),
    Feature("terminal", "rich", "live views and progress bars", ""),
    Feature("mcp", "mcp", "MCP servers as tools, agents as MCP tools", "mcp"),
    Feature("runtime", "grpc", "the daemon and its gRPC service", "runtime"),
)


def about(arguments: list[str], console: Console) -> int:
    """``--impl`` prints facts; ``--features`` adds the optional parts. ``--json`` prints both as one object."""
    parser = Parser(prog="tea", add_help=False)
    parser.add_argument("--impl", action="store_true")
    parser.add_argument("--features", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parse(parser, arguments)
    facts = implementation()
    features = {feature.name: is_installed(feature) for feature in FEATURES}
    if args.json:
        console.json({**facts, "features": features})
        return 0
    for name, value in facts.items():
        console.out(f"{name}: {value}")
    if args.features:
        console.out("features:")
        for feature in FEATURES:
            console.out(f"  {feature.name}: {_describe(feature, present=features[feature.name])}")
    return 0


def implementation() -> dict[str, str]:
    """The facts of ``--impl``, in the order they are printed."""
    return {
        "implementation": "python",
        "version": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": f"{platform.system()} {platform.machine()}",
        "yaml": "libyaml" if find_spec("yaml._yaml") else "pure Python",
        "llama": _llama(),
        "embedded model": _embedded_model(),
    }


def is_installed(feature: Feature) -> bool:
    """Whether the part's module can be found; nothing is imported."""
    return find_spec(feature.module) is not None


def _describe(feature: Feature, *, present: bool) -> str:
    if present:
        return f"yes, {feature.help}"
    how = f"; pip install 'the-edge-agent[{feature.extra}]'" if feature.extra else ""
    return f"no, {feature.help}{how}"


def _llama() -> str:
    try:
        version = metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        return "not installed; pip install 'the-edge-agent[llm-local]'"
    return f"llama-cpp-python {version}"


def _embedded_model() -> str:
    from the_edge_agent.errors import ModelNotFound
    from the_edge_agent.store.locate import embedded_model_path

    try:
        path = embedded_model_path()
    except ModelNotFound:
        return "none"
    return f"{path.name} ({format_bytes(path.stat().st_size)})"
