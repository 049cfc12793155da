"""Ctrl-C and SIGTERM while a coroutine runs: the first one asks it to stop, the second one ends the process.

Knows nothing of runs; what has to be kept is kept by whoever is cancelled.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(Exception):
    """The coroutine was stopped by a signal. ``exit_code`` is 128 + its number, as shells expect: 130 for Ctrl-C."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


def run_until_stopped(main: Coroutine[Any, Any, T], *, last_words: Callable[[], None] | None = None) -> T:
    """Run the coroutine on a loop of its own and return its result.

    The first signal cancels it, so that it can close what it owns; a second one calls ``last_words`` and ends the
    process at once, whatever is stuck.

    Raises:
        Stopped: a signal ended it.
    """
    stop = _Stop(last_words)
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        before = {signum: signal.signal(signum, stop.on_signal) for signum in _SIGNALS}
        try:
            return runner.run(stop.guard(main, loop))
        except asyncio.CancelledError:
            if stop.signum is None:
                raise
            raise Stopped(stop.signum) from None
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)


class _Stop:
    """What a signal does. One instance a coroutine."""

    def __init__(self, last_words: Callable[[], None] | None) -> None:
        self.signum: int | None = None
        self._last_words = last_words
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def guard(self, main: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        self._loop = loop
        self._task = asyncio.current_task()
        if self.signum is not None:
            main.close()
            raise asyncio.CancelledError
        result = await main
        if self.signum is not None:  # it swallowed the cancellation; the person still asked to stop
            raise asyncio.CancelledError
        return result

    def on_signal(self, signum: int, _frame: FrameType | None) -> None:
        if self.signum is not None:
            if self._last_words is not None:
                self._last_words()
            sys.stderr.flush()
            os._exit(128 + signum)
        self.signum = signum
        if self._task is not None and self._loop is not None:
            self._task.cancel()
            self._loop.call_soon_threadsafe(_nothing)  # wakes a loop that waits for input


def _nothing() -> None:
    pass
