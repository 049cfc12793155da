"""Ownership of a C object: closed once, freed once, never while somebody uses it.

``Owned`` counts leases. Closing forbids new ones; the object is freed when the last lease ends, by whoever ends it. So
a close never waits and never pulls memory from under a running call, in any order and from any thread. A context holds
a lease on its model for as long as it lives. Knows nothing of what the pointer points to.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from the_edge_agent.errors import UseAfterClose


class Owned:
    """A pointer with its free function and a count of leases."""

    __slots__ = ("_closed", "_free", "_leases", "_lock", "_name", "_pointer")

    def __init__(self, name: str, pointer: Any, free: Callable[[Any], None]) -> None:
        self._name = name
        self._pointer = pointer
        self._free = free
        self._leases = 0
        self._closed = False
        # Re-entrant: the garbage collector may run another object's finalizer, which ends a lease here, at any call.
        self._lock = threading.RLock()

    @property
    def closed(self) -> bool:
        """True once close was called, freed or not."""
        return self._closed

    def lease(self) -> Any:
        """The pointer, kept alive until ``release``. Raises UseAfterClose."""
        with self._lock:
            if self._closed:
                raise UseAfterClose(f"this {self._name} is closed", fix="open a new one")
            self._leases += 1
            return self._pointer

    def release(self) -> None:
        """End a lease; frees the object if it was the last one of a closed object."""
        with self._lock:
            self._leases -= 1
            due = self._closed and self._leases == 0
            pointer, free = self._pointer, self._free
        if due:
            free(pointer)

    def close(self) -> None:
        """Forbid new leases and free as soon as none is out. Safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            due = self._leases == 0
            pointer, free = self._pointer, self._free
        if due:
            free(pointer)


class Handle:
    """A context manager around an ``Owned``; subclasses are what users hold."""

    __slots__ = ("__weakref__", "_finalizer", "_owned")

    def __init__(self, owned: Owned) -> None:
        self._owned = owned
        # Also runs at interpreter exit, newest first: contexts before their models.
        self._finalizer = weakref.finalize(self, owned.close)

    @property
    def owned(self) -> Owned:
        """The ownership itself, for what must keep the object alive beyond this handle."""
        return self._owned

    @property
    def closed(self) -> bool:
        """True once close was called."""
        return self._owned.closed

    def close(self) -> None:
        """Release the C object. Safe to call twice, from any thread; running calls finish first."""
        self._finalizer()

    @contextmanager
    def _use(self) -> Generator[Any]:
        """The raw pointer for the length of a block. Raises UseAfterClose."""
        pointer = self._owned.lease()
        try:
            yield pointer
        finally:
            self._owned.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
