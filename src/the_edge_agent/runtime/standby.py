"""Where workers come from: started when they are wanted, or a process that was started before and waits for a model.

The one that waits has done its imports and opened nothing; with it, a lost worker is replaced sooner by the start of a
process. It is made after another worker got ready, when there is time for it. Knows nothing of restarts or requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

from the_edge_agent.runtime.config import WorkersConfig
from the_edge_agent.runtime.worker_process import WorkerGone, WorkerProcess
from the_edge_agent.runtime.worker_spec import WorkerSpec

log = logging.getLogger("the_edge_agent.runtime")

#: After a worker got ready, the requests that waited for it go first.
DELAY_S = 0.5
#: What waits has nothing to do; if it is silent for longer, a new process is sooner there.
ANSWER_S = 1.0


class Standby:
    """Starts workers and keeps at most one process waiting; ``aclose`` ends that one."""

    def __init__(self, environ: Mapping[str, str], delay_s: float = DELAY_S) -> None:
        self._environ = environ
        self._delay_s = delay_s
        self._waiting: WorkerProcess | None = None
        self._making: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._enabled = True

    @property
    def pid(self) -> int:
        """The process that waits; 0 for none."""
        return self._waiting.pid if self._waiting is not None and not self._waiting.is_gone else 0

    @property
    def size_bytes(self) -> int:
        """Memory that it holds now."""
        return self._waiting.resident_bytes() if self._waiting is not None and self.pid else 0

    async def start(
        self, spec: WorkerSpec, timing: WorkersConfig, on_process: Callable[[WorkerProcess], None]
    ) -> WorkerProcess:
        """A worker that has opened ``spec``'s model; it is the caller's. Raises as ``WorkerProcess.start`` does."""
        worker = await self._take(spec)
        if worker is None:
            worker = await WorkerProcess.start(spec, timing, self._environ, on_process=on_process)
        else:
            on_process(worker)
            await worker.open(spec, timing)
        self._prepare(spec, timing)
        return worker

    def enable(self, enabled: bool) -> None:
        """Whether one is to wait at all; without, what waits is ended soon."""
        self._enabled = enabled
        if not enabled and (self._waiting is not None or self._making is not None):
            self._ending = asyncio.create_task(self._end(), name="standby's end")

    async def aclose(self) -> None:
        """End what waits."""
        if self._ending is not None:
            await asyncio.gather(self._ending, return_exceptions=True)
        await self._end()

    async def _end(self) -> None:
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
        await self._drop()

    async def _take(self, spec: WorkerSpec) -> WorkerProcess | None:
        waiting = self._waiting
        if waiting is None or not spec.standby or not waiting.is_like(spec):
            return None
        self._waiting = None
        try:
            hangs = await waiting.hangs(ANSWER_S)
        except BaseException:
            await waiting.kill()
            raise
        if hangs:
            log.warning("the process that stood by was gone or hung: another one is started")
            await waiting.kill()
            return None
        return waiting

    async def _drop(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await waiting.kill()

    def _prepare(self, spec: WorkerSpec, timing: WorkersConfig) -> None:
        waits = self.pid and self._waiting is not None and self._waiting.is_like(spec)
        if spec.standby and self._enabled and not waits and self._making is None:
            self._making = asyncio.create_task(self._make(spec, timing), name="standby")

    async def _make(self, spec: WorkerSpec, timing: WorkersConfig) -> None:
        try:
            await asyncio.sleep(self._delay_s)
            await self._drop()  # it's dead, or of a kind that is asked for no more
            with contextlib.suppress(WorkerGone):
                self._waiting = await WorkerProcess.spawn(spec, timing, self._environ)
                self._waiting.warm()
        finally:
            self._making = None
