"""``~`` and ``$VARS`` in a path, from an environment that was passed in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from the_edge_agent.errors import ModelNotFound

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*))")


def expand_path(text: str, environ: Mapping[str, str], *, place: str) -> Path:
    """``text`` with ``~``, ``$NAME`` and ``${NAME}`` replaced.

    Raises ModelNotFound, naming ``place``, for a variable that isn't set: an empty string in its stead would name
    another file.
    """

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"]
        if name not in environ:
            raise ModelNotFound(f"{text!r} uses ${name}, which is not set", place=place, fix=f"set {name}")
        return environ[name]

    expanded = _VARIABLE.sub(value, text)
    if expanded == "~" or expanded.startswith("~/"):
        home = environ.get("HOME")
        return Path(home) / expanded[2:] if home else Path(expanded).expanduser()
    return Path(expanded)
