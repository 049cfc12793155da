"""Runs the ``run: |`` code of nodes, in this process, as the body of a function of ``state``.

This is no sandbox: the caller has allowed the code, and it may do what the process may. What is kept apart is the
run's state: the code sees copies, so that changing a list in place changes nothing behind the log's back.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any, cast

from the_edge_agent.errors import EdgeAgentError, NodeFailed
from the_edge_agent.inference import JsonValue

_NAME = "node_code"


class CopiedState(Mapping[str, Any]):
    """A read-only view of the state. Each value is copied when it is first looked at."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state
        self._copies: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._copies:
            self._copies[key] = copy.deepcopy(self._state[key])
        return self._copies[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def __len__(self) -> int:
        return len(self._state)

    def __repr__(self) -> str:
        return f"state({dict(self)!r})"


class InlineCode:
    """The CodePort. What the code prints goes to stderr: stdout belongs to the run's events."""

    async def run(self, source: str, state: Mapping[str, Any], *, place: str) -> Mapping[str, JsonValue]:
        """The dict that the code returns ({} for None). Raises NodeFailed with the line of the code."""
        names: dict[str, Any] = {"__name__": _NAME}
        try:
            exec(compiled(source, place), names)  # noqa: S102 - allowed by the caller; see above
            with contextlib.redirect_stdout(sys.stderr):
                value = names[_NAME](CopiedState(state))
                if inspect.isawaitable(value):
                    value = await value
        except EdgeAgentError:
            raise
        except SyntaxError as error:
            raise NodeFailed(f"line {error.lineno} of its code: {error.msg}", fix="mend the code") from error
        except (Exception, SystemExit) as error:
            text = f"{type(error).__name__}: {error}"
            raise NodeFailed(
                f"line {_line(error, place)} of its code: {text}", fix="mend the code"
            ) from error
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise NodeFailed(
                f"its code returned {type(value).__name__}",
                fix="return a dict of what should change in the state",
            )
        return cast(Mapping[str, JsonValue], value)


@lru_cache(maxsize=256)
def compiled(source: str, place: str) -> CodeType:
    """The code as a function definition. Raises SyntaxError."""
    body = ast.parse(textwrap.dedent(source), filename=place).body or [ast.Pass()]
    awaits = any(
        isinstance(inner, ast.Await | ast.AsyncFor | ast.AsyncWith)
        for node in body
        for inner in ast.walk(node)
    )
    module = ast.parse(f"{'async ' if awaits else ''}def {_NAME}(state): pass")
    function = cast(ast.FunctionDef, module.body[0])
    function.body = body
    return compile(ast.fix_missing_locations(module), place, "exec")


def _line(error: BaseException, place: str) -> int:
    """The line of the code where it happened."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == place:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
