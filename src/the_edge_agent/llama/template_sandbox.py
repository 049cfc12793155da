"""The sandbox that chat templates run in: everything that can grow or repeat is counted.

Jinja's immutable sandbox keeps a template from reaching Python; it doesn't keep it from looping for ever or from
printing gigabytes. Here loop turns, macro calls, what is built, and the clock have limits, which belong to one rendering
and travel in its variables under names that a template may not write. Knows nothing of chats.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, cast

import jinja2
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment

from the_edge_agent.errors import TemplateInvalid

MAX_TURNS = 200_000
MAX_BYTES = 64 * 1024 * 1024
MAX_POWER = 64
TIMEOUT_S = 5.0
FIX = "give another template with chat_format, or another model"
#: Everything else is removed: formatters that take widths, filters that walk attributes or pretty-print without end.
_FILTERS = frozenset(
    "abs capitalize count d default dictsort e escape first float groupby indent int items join last length list lower map max min reject rejectattr replace reverse round safe select selectattr slice sort string striptags sum tojson trim truncate unique upper wordcount".split()  # noqa: SIM905 - a table is read across
)
_PADDING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})

#: Variables of a rendering that belong to the sandbox.
TURN, CONCAT, BUILD, LIMITS = "__turn__", "__concat__", "__build__", "__limits__"
_BYTES_AN_ENTRY = 64


class Limits:
    """What one rendering has used up."""

    __slots__ = ("_bytes", "_deadline", "_turns")

    def __init__(self) -> None:
        self._turns = 0
        self._bytes = 0
        self._deadline = time.monotonic() + TIMEOUT_S

    def turn(self) -> str:
        """A loop turn, a call, or anything else that may repeat."""
        self._turns += 1
        if self._turns > MAX_TURNS:
            raise TemplateInvalid(f"the chat template takes more than {MAX_TURNS:,} loop turns", fix=FIX)
        if not self._turns & 63 and time.monotonic() > self._deadline:
            raise TemplateInvalid(f"the chat template takes more than {TIMEOUT_S:g} s", fix=FIX)
        return ""

    def charge(self, value: object) -> None:
        """Count a value that was made: the length of text, the entries of lists and objects with all that is in them.
        Counted where it is built, nothing can be nested into more than the limit.
        """
        if isinstance(value, str):
            self.charge_size(len(value))
        elif isinstance(value, (list, tuple)):
            self._charge_entries(value)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, Mapping):
            self._charge_entries(value.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]

    def _charge_entries(self, values: Collection[object]) -> None:
        self.charge_size(_BYTES_AN_ENTRY * len(values))
        for value in values:
            if isinstance(value, (list, tuple, Mapping)):
                self.charge(value)  # pyright: ignore[reportUnknownArgumentType]

    def build(self, value: object) -> object:
        """Count a container and pass it on."""
        self.charge(value)
        return value

    def charge_size(self, size: int) -> None:
        """Count characters, or what is worth as much."""
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise TemplateInvalid(f"the chat template produces more than {MAX_BYTES >> 20} MB", fix=FIX)

    def concat(self, *parts: object) -> str:
        """``a ~ b ~ c``."""
        texts = [str(part) for part in parts]
        self.charge_size(sum(map(len, texts)))
        return "".join(texts)


class Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, with arithmetic and calls under the limits of the rendering they belong to."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on what can grow."""
        limits: Limits = context.resolve(LIMITS)
        if operator == "*":
            limits.charge_size(_repeated(left, right) + _repeated(right, left))
        elif operator == "**" and abs(right) > MAX_POWER:
            raise TemplateInvalid(f"the chat template raises to the power of {right}", fix=FIX)
        elif operator == "%" and isinstance(left, str):
            raise TemplateInvalid("the chat template formats text with %", fix=FIX)
        result = super().call_binop(context, operator, left, right)
        limits.charge(result)
        return result

    def wrap_str_format(self, value: Any) -> Any:
        """No formatting with widths."""
        if getattr(value, "__name__", "") in {"format", "format_map"} and isinstance(
            getattr(value, "__self__", None), str
        ):
            raise TemplateInvalid("the chat template formats text with format()", fix=FIX)
        return super().wrap_str_format(value)

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls of methods, macros and globals."""
        limits: Limits = context.resolve(LIMITS)
        limits.turn()
        name = getattr(function, "__name__", "")
        owner = getattr(function, "__self__", None)
        if isinstance(owner, str):
            if name in _PADDING:
                limits.charge_size(max((arg for arg in args if isinstance(arg, int)), default=0))
            elif name == "replace":
                limits.charge_size(_replaced(owner, *args))
            elif name == "join" and args:
                limits.charge_size(len(owner) * len(args[0]))
            limits.charge(owner)
        result = super().call(context, function, *args, **kwargs)
        limits.charge(result)
        return result


def _repeated(value: object, times: object) -> int:
    if isinstance(value, (str, list, tuple)) and isinstance(times, int):
        return len(cast("str", value)) * max(times, 0)
    return 0


def _replaced(text: str, old: Any = "", new: Any = "", *_: Any) -> int:
    count = text.count(old) if old else len(text) + 1
    return len(text) + count * max(0, len(str(new)) - len(str(old)))


def _limited(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose input and result count."""

    @jinja2.pass_context
    def wrapped(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        limits: Limits = context.resolve(LIMITS)
        if function is _plain_filters["replace"]:
            limits.charge_size(_replaced(str(value), *args))
            return str(value).replace(str(args[0]), str(args[1]), *args[2:])
        if function is _plain_filters["indent"]:
            width = args[0] if args else kwargs.get("width", 4)
            lines = str(value).count("\n") + 1
            limits.charge_size(lines * (width if isinstance(width, int) else len(str(width))))
        if function is _plain_filters["join"] and isinstance(value, (list, tuple)):
            limits.charge_size(len(value) * len(str(args[0] if args else kwargs.get("d", ""))))  # pyright: ignore[reportUnknownArgumentType]
        limits.charge(cast("object", value))
        first = getattr(function, "jinja_pass_arg", None)
        if first is not None:
            leading = {
                "context": context,
                "eval_context": context.eval_ctx,
                "environment": context.environment,
            }
            result: Any = function(leading[first.name], value, *args, **kwargs)
        else:
            result = function(value, *args, **kwargs)
        if isinstance(result, Iterable) and not isinstance(result, (str, Mapping, list, tuple)):
            result = list(_counted(limits, cast("Iterable[Any]", result)))
        limits.charge(cast("object", result))
        return cast("Any", result)

    return wrapped


def _counted(limits: Limits, values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        limits.turn()
        yield value


def _tojson(value: Any, indent: int | None = None, **_: Any) -> str:
    """As transformers has it: not escaped for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _make_environment() -> Sandbox:
    environment = Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], cache_size=0
    )
    environment.filters = {  # pyright: ignore[reportAttributeAccessIssue]
        name: _limited(function) for name, function in _plain_filters.items() if name in _FILTERS
    }
    environment.globals = {
        "range": environment.globals["range"],
        "namespace": environment.globals["namespace"],
        "dict": dict,
    }
    return environment


_plain_filters: dict[str, Callable[..., Any]] = {**FILTERS, "tojson": _tojson}
ENVIRONMENT = _make_environment()
