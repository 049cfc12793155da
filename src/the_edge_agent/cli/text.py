"""Figures and values as a person reads them. Pure; knows nothing of terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def format_bytes(size_bytes: int) -> str:
    """``812 B``, ``5.2 MB``, ``1.6 GB`` (powers of 1,000, as disks and downloads are sold)."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_seconds(seconds: float) -> str:
    """``0.04 s``, ``12.3 s``, ``4 min 07 s``, ``2 h 05 min``."""
    if seconds < 0.1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_count(count: int, noun: str) -> str:
    """``1 node``, ``3 nodes``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def clip(text: str, width: int, more: str = "…") -> str:
    """One line of at most ``width`` characters; what is cut is marked."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: max(0, width - len(more))].rstrip() + more


def plain(value: Any) -> Any:
    """Frozen JSON views (Mapping, Sequence) as dicts and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(entry) for entry in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def yaml_text(value: Any) -> str:
    """A JSON value as YAML, which reads well and parses back. A string is itself."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    import yaml

    return _dump(yaml, plain(value)).rstrip("\n")


def _dump(yaml: Any, value: Any) -> str:
    class Dumper(yaml.SafeDumper):
        """Multi-line strings as blocks: an answer of three paragraphs stays three paragraphs."""

    def represent_text(dumper: Any, text: str) -> Any:
        style = "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent_text)
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def format_age(seconds: float) -> str:
    """``just now``, ``5 min ago``, ``3 h ago``, ``12 days ago``."""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)} h ago"
    return f"{int(seconds // 86400)} days ago"
