"""Runs many jobs at once on one event loop and says how each ended. Knows nothing of nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

#: Why each job that didn't finish didn't, by index.
Failures: TypeAlias = dict[int, BaseException]


#: So many jobs start before the first of them get to run: those that never wait are gone when the next come.
_WAVE = 128


class _Stop(Exception):
    """Ends the task group after the first failure."""


async def run_together(
    count: int,
    job: Callable[[int], Awaitable[None]],
    *,
    limit: int = 0,
    fail_fast: bool = True,
    held: type[BaseException],
) -> Failures:
    """Run ``job(0)`` to ``job(count - 1)``, at most ``limit`` at once (0: all), and return the failures.

    With ``fail_fast`` the first failure cancels the others; a ``held`` exception (a question to a person) never does.
    Cancelling the caller cancels every job.
    """
    jobs = _Jobs(job, fail_fast=fail_fast, held=held)
    waiting = iter(range(count))

    async def worker() -> None:
        for index in waiting:
            await jobs.do(index)

    try:
        async with asyncio.TaskGroup() as group:
            if 0 < limit < count:
                for _ in range(limit):
                    group.create_task(worker())
            else:
                for index in waiting:
                    group.create_task(jobs.do(index))
                    if index % _WAVE == _WAVE - 1:
                        await asyncio.sleep(0)
    except* _Stop:
        pass
    return jobs.failures


class _Jobs:
    """Does jobs and keeps why they failed."""

    def __init__(
        self, job: Callable[[int], Awaitable[None]], *, fail_fast: bool, held: type[BaseException]
    ) -> None:
        self.failures: Failures = {}
        self._job = job
        self._fail_fast = fail_fast
        self._held = held

    async def do(self, index: int) -> None:
        try:
            await self._job(index)
        except self._held as error:
            self.failures[index] = error
        except Exception as error:  # noqa: BLE001 - the caller sees every failure, by index
            self.failures[index] = error
            if self._fail_fast:
                raise _Stop from None
