"""Where workers come from: started when they are wanted, or a process that was started before and waits for a model.

The one that waits has done its imports and opened nothing; with it, a lost worker is replaced sooner by the start of a
process. It is made after another worker got ready, when there is time for it. Knows nothing of restarts or requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from the_edge_agent.runtime.config import WorkersConfig
from the_edge_agent.runtime.worker_process import WorkerGone, WorkerProcess
from the_edge_agent.runtime.worker_spec import WorkerSpec

#: After a worker got ready, the requests that waited for it go first.
DELAY_S = 0.5


class Standby:
    """Starts workers and keeps at most one process waiting; ``aclose`` ends that one."""

    def __init__(self, environ: Mapping[str, str], delay_s: float = DELAY_S) -> None:
        self._environ = environ
        self._delay_s = delay_s
        self._waiting: WorkerProcess | None = None
        self._making: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process that waits; 0 for none."""
        return self._waiting.pid if self._waiting is not None and not self._waiting.is_gone else 0

    async def start(
        self, spec: WorkerSpec, timing: WorkersConfig, on_pid: Callable[[int], None]
    ) -> WorkerProcess:
        """A worker that has opened ``spec``'s model; it is the caller's. Raises as ``WorkerProcess.start`` does."""
        worker = await self._take(spec)
        if worker is None:
            worker = await WorkerProcess.start(spec, timing, self._environ, on_pid=on_pid)
        else:
            on_pid(worker.pid)
            await worker.open(spec)
        self._prepare(spec, timing)
        return worker

    async def aclose(self) -> None:
        """End what waits."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
        await self._drop()

    async def _take(self, spec: WorkerSpec) -> WorkerProcess | None:
        waiting = self._waiting
        if waiting is None or not spec.standby or not waiting.is_like(spec):
            return None
        if waiting.is_gone:
            await self._drop()
            return None
        self._waiting = None
        return waiting

    async def _drop(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await waiting.kill()

    def _prepare(self, spec: WorkerSpec, timing: WorkersConfig) -> None:
        if spec.standby and not self.pid and self._making is None:
            self._making = asyncio.create_task(self._make(spec, timing), name="standby")

    async def _make(self, spec: WorkerSpec, timing: WorkersConfig) -> None:
        try:
            await asyncio.sleep(self._delay_s)
            await self._drop()  # it's dead, or there would be no need of another
            with contextlib.suppress(WorkerGone):
                self._waiting = await WorkerProcess.spawn(spec, timing, self._environ)
                self._waiting.warm()
        finally:
            self._making = None
