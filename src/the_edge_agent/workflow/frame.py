"""The names a template sees while it is evaluated, and what it can call. Knows nothing of syntax trees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from the_edge_agent.errors import TemplateError, TemplateLimitExceeded
from the_edge_agent.workflow.limits import MAX_ENTRIES, Budget, weigh
from the_edge_agent.workflow.sandbox import Attributes, Method, Missing, missing


class Frame:
    """The names of one block of a template over those of the blocks around it, and the run's scope under all."""

    __slots__ = ("budget", "names", "outer", "scope")

    def __init__(
        self,
        scope: Mapping[str, Any],
        budget: Budget,
        outer: Frame | None = None,
        names: dict[str, Any] | None = None,
    ) -> None:
        self.scope = scope
        self.budget = budget
        self.outer = outer
        self.names: dict[str, Any] = {} if names is None else names

    def inner(self, names: dict[str, Any] | None = None) -> Frame:
        """A block inside this one."""
        return Frame(self.scope, self.budget, self, names)

    def resolve(self, name: str) -> Any:
        """The value of ``name`` or Missing."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.names:
                return frame.names[name]
            frame = frame.outer
        if name in self.scope:
            return self.scope[name]
        if name in GLOBALS:
            return GLOBALS[name]
        return missing(name, f"there are {', '.join(sorted(self.scope))}")


Evaluate = Callable[[Frame], Any]


class Function:
    """What a template can call beside methods: a global function, a macro, a recursive loop."""

    __slots__ = ("function", "name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function


class Namespace(Attributes):
    """``namespace(...)``: names that inner blocks can set."""

    __slots__ = ("values",)

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def attribute(self, name: str) -> Any:
        """The value set under ``name`` or Missing."""
        return self.values[name] if name in self.values else missing(name, "the namespace doesn't have it")


def _range(budget: Budget, *bounds: int) -> range:
    result = range(*bounds)
    if abs((result.stop - result.start) // result.step) > MAX_ENTRIES:
        raise TemplateLimitExceeded(
            f"the range has more than {MAX_ENTRIES:,} numbers", fix="use a shorter one"
        )
    budget.take(1)
    return result


def _dict(budget: Budget, *pairs: Any, **named: Any) -> dict[str, Any]:
    made = dict(*pairs, **named)
    weigh(made, budget)
    return made


def _namespace(budget: Budget, *pairs: Any, **named: Any) -> Namespace:
    return Namespace(_dict(budget, *pairs, **named))


GLOBALS: Mapping[str, Function] = {
    "dict": Function("dict", _dict),
    "namespace": Function("namespace", _namespace),
    "range": Function("range", _range),
}


def call(budget: Budget, target: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Call a method, a macro or a global function; nothing else can be called."""
    budget.take(1)
    if isinstance(target, Method):
        return target.function(budget, target.owner, *args, **named)
    if isinstance(target, Function):
        return target.function(budget, *args, **named)
    if isinstance(target, Attributes):
        return target.call(budget, *args, **named)
    if isinstance(target, Missing):
        str(target)
    raise TemplateError("this can't be called", fix="call methods of text, lists and objects, or macros")
