"""One worker's whole life, from start to reaped; the scheduler hears of each turn. Knows nothing of requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from the_edge_agent.errors import EdgeAgentError
from the_edge_agent.runtime.config import WorkersConfig
from the_edge_agent.runtime.model_status import Record
from the_edge_agent.runtime.schedule import Event, WorkerLost, WorkerReady, WorkerStopped
from the_edge_agent.runtime.standby import Standby
from the_edge_agent.runtime.worker_process import WorkerGone, WorkerProcess

log = logging.getLogger("the_edge_agent.runtime")


async def live(
    record: Record,
    timing: WorkersConfig,
    standby: Standby,
    tell: Callable[[Event], None],
    wall_clock: Callable[[], float],
) -> None:
    """Start the model's worker, keep ``record`` up to date, end when it is lost or ``record.stop`` is set."""
    name = record.spec.name
    began_s = asyncio.get_running_loop().time()

    def started(worker: WorkerProcess) -> None:
        record.pid, record.log_lines = worker.pid, worker.log_lines

    def lost(failure: str, *, permanent: bool = False) -> None:
        record.pid = 0
        record.ended += 1
        record.crashes += 1
        log.warning("%s: lost its worker: %s", name, failure)
        tell(WorkerLost(name, failure, permanent))

    try:
        worker = await standby.start(record.spec, timing, started)
    except WorkerGone as gone:
        lost(gone.what)
        return
    except EdgeAgentError as error:
        lost(str(error), permanent=True)
        return
    except Exception as error:  # whatever it is, a model must not stay "loading" for ever
        log.exception("%s: its worker can't be started", name)
        lost(f"its worker can't be started: {type(error).__name__}: {error}")
        return
    async with worker:
        record.worker, record.info = worker, worker.info
        record.loaded_at_s = wall_clock()
        took_s = asyncio.get_running_loop().time() - began_s
        log.info("%s: ready after %.2f s, pid %d", name, took_s, worker.pid)
        tell(WorkerReady(name, worker.resident_bytes()))
        gone = asyncio.create_task(worker.wait_gone())
        stopped = asyncio.create_task(record.stop.wait())
        try:
            await asyncio.wait((gone, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            stopped.cancel()
    record.worker = None
    if record.stop.is_set():
        record.pid = 0
        record.ended += 1
        log.info("%s: stopped", name)
        tell(WorkerStopped(name))
    else:
        lost(await worker.wait_gone())
