"""The state of a run: an immutable mapping of JSON values. Knows nothing of who writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn


class State(dict[str, Any]):
    """A dict that can't be changed; ``updated`` makes the next one and shares every value with it.

    It is a dict so that templates and the JSON encoder read it at full speed. The values inside are the run's own
    copies (see ``own``): whoever is handed one must not change it.
    """

    __slots__ = ()

    def updated(self, updates: Mapping[str, Any] | None = None, /, **more: Any) -> State:
        """A new state with ``updates`` and ``more`` written over this one."""
        return State({**self, **(updates or {}), **more})

    if not TYPE_CHECKING:  # to a type checker these are dict's own, so that a State passes for a dict

        def _refuse(self, *_args: Any, **_named: Any) -> NoReturn:
            msg = "the state can't be changed in place; return what should change from the node"
            raise TypeError(msg)

        __setitem__ = __delitem__ = __ior__ = _refuse
        clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[State], tuple[dict[str, Any]]]:
        return State, (dict(self),)
