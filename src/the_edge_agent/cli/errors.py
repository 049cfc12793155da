"""Errors as a person reads them: one block whose first line is ``ErrorName: place: what; what to do``.

Pure. It knows nothing of streams or of which verb failed.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from the_edge_agent.errors import EdgeAgentError

MAX_PROBLEMS = 50


def render_error(error: BaseException) -> str:
    """The block for stderr, without a trailing newline."""
    if isinstance(error, EdgeAgentError):
        lines = [_indented(str(problem)) for problem in error.problems]
        shown = lines[:MAX_PROBLEMS]
        if len(lines) > MAX_PROBLEMS:
            shown.append(f"... and {len(lines) - MAX_PROBLEMS:,} more problems")
        return f"{error.name}: " + "\n  ".join(shown)
    if isinstance(error, OSError):
        return _render_os_error(error)
    if isinstance(error, MemoryError):
        return (
            "OutOfMemory: this machine has no memory left for that; choose a smaller model, input or context"
        )
    said = str(error).strip() or "no message"
    return (
        f"InternalError: {type(error).__name__}: {_indented(said)}; "
        "this is a defect in tea: please report it with the traceback that TEA_DEBUG=1 shows"
    )


def error_to_json(error: BaseException) -> dict[str, Any]:
    """``{name, what, place, fix}``, and ``problems`` where there are several."""
    if isinstance(error, EdgeAgentError):
        entry: dict[str, Any] = {
            "name": error.name,
            "what": error.what,
            "place": error.place,
            "fix": error.fix,
        }
        if len(error.problems) > 1:
            entry["problems"] = [
                {"what": problem.what, "place": problem.place, "fix": problem.fix}
                for problem in error.problems
            ]
        return entry
    if isinstance(error, OSError):
        name, _, rest = _render_os_error(error).partition(": ")
        return {"name": name, "what": rest, "place": "", "fix": ""}
    return {"name": "InternalError", "what": f"{type(error).__name__}: {error}", "place": "", "fix": ""}


def render_event_error(error: Mapping[str, Any]) -> str:
    """The block for an error that came as JSON, in a ``failed`` event or from a run's log."""
    problems = error.get("problems") or [error]
    lines: list[str] = []
    for problem in problems[:MAX_PROBLEMS]:
        place, what, fix = (str(problem.get(key) or "") for key in ("place", "what", "fix"))
        lines.append(_indented((f"{place}: " if place else "") + what + (f"; {fix}" if fix else "")))
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"... and {len(problems) - MAX_PROBLEMS:,} more problems")
    return f"{error.get('name') or 'RunError'}: " + "\n  ".join(lines)


def exit_code_of(error: BaseException) -> int:
    """2 for the caller's mistakes, 1 for everything else."""
    return error.exit_code if isinstance(error, EdgeAgentError) else 1


def render_traceback(error: BaseException) -> str:
    """What TEA_DEBUG=1 shows above the block."""
    return "".join(traceback.format_exception(error)).rstrip("\n")


def _render_os_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    what = error.strerror or str(error) or type(error).__name__
    name = "FileError" if error.filename else "SystemError"
    return f"{name}: {place}{what[:1].lower()}{what[1:]}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
