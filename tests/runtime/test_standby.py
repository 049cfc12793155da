"""A process waits for a model, so that whoever needs a worker has one sooner; and it never stays behind."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.runtime.test_manager import FAKE, QUICK, until

from the_edge_agent.inference import ChatRequest, Message, collect
from the_edge_agent.runtime.config import WorkersConfig
from the_edge_agent.runtime.standby import Standby
from the_edge_agent.runtime.worker_process import WorkerGone
from the_edge_agent.runtime.worker_spec import WorkerSpec

SPEC = WorkerSpec("fake", "fake.gguf", {}, FAKE, standby=True)
TIMING = WorkersConfig(**{**QUICK, "load_timeout_s": 5})


@asynccontextmanager
async def starting(spec=SPEC):
    """A worker, and the standby that started it."""
    standby = Standby(dict(os.environ), delay_s=0)
    try:
        async with await standby.start(spec, TIMING, lambda _: None) as worker:
            yield standby, worker
    finally:
        await standby.aclose()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_next_worker_is_the_process_that_waited():
    async with starting() as (standby, first):
        await until(lambda: standby.pid)
        waiting = standby.pid
        started = []
        async with await standby.start(replace(SPEC, name="other"), TIMING, started.append) as second:
            assert started == [second]
            assert second.pid == waiting != first.pid
            assert second.name == "other"
            answer = await collect(second.chat(ChatRequest((Message("user", "Hi"),))))
            assert answer.text == "You said: Hi"
            await until(lambda: standby.pid not in {0, waiting})


async def test_one_that_died_while_it_waited_is_not_taken():
    async with starting() as (standby, _):
        await until(lambda: standby.pid)
        waiting = standby.pid
        os.kill(waiting, signal.SIGKILL)
        await until(lambda: not standby.pid)
        async with await standby.start(SPEC, TIMING, lambda _: None) as second:
            assert second.pid != waiting


async def test_none_waits_for_a_kind_of_worker_that_knows_its_model_from_the_start():
    async with starting(replace(SPEC, standby=False)) as (standby, _):
        await asyncio.sleep(0.3)
        assert not standby.pid


async def test_another_kind_of_worker_does_not_get_it():
    async with starting() as (standby, _):
        await until(lambda: standby.pid)
        waiting = standby.pid
        with pytest.raises(WorkerGone):
            await standby.start(replace(SPEC, command=("no-such-binary",)), TIMING, lambda _: None)
        assert standby.pid == waiting


async def test_one_that_does_not_open_its_model_in_time_is_reaped():
    async with starting() as (standby, _):
        await until(lambda: standby.pid)
        waiting = standby.pid
        with pytest.raises(WorkerGone, match="wasn't ready within 5 s"):
            await standby.start(replace(SPEC, options={"load_s": 60}), TIMING, lambda _: None)
        assert not alive(waiting)


async def test_it_ends_with_its_owner_also_while_it_is_being_started():
    async with starting() as (standby, _):
        await until(lambda: standby.pid)
        waiting = standby.pid
    assert not alive(waiting)
    async with starting() as (standby, _):
        pass  # too soon for one
    assert not standby.pid


async def test_one_that_hangs_is_replaced_at_once_and_counts_as_nobodys_crash():
    async with starting() as (standby, _):
        await until(lambda: standby.pid)
        waiting = standby.pid
        await asyncio.wait_for(until_it_is_warm(standby), 20)
        os.kill(waiting, signal.SIGSTOP)
        began_s = asyncio.get_running_loop().time()
        async with await standby.start(SPEC, TIMING, lambda _: None) as second:
            assert second.pid != waiting
        assert asyncio.get_running_loop().time() - began_s < TIMING.load_timeout_s
        assert not alive(waiting)


async def until_it_is_warm(standby):
    await until(lambda: standby._waiting._pongs)


async def test_none_waits_once_it_is_turned_off():
    async with starting() as (standby, _):
        await until(lambda: standby.pid)
        waiting = standby.pid
        standby.enable(False)
        await until(lambda: not alive(waiting))
        async with await standby.start(SPEC, TIMING, lambda _: None):
            await asyncio.sleep(0.3)
            assert not standby.pid


async def test_one_of_a_kind_that_is_asked_for_no_more_makes_way():
    async with starting(replace(SPEC, command=(*FAKE[:1], "-u", *FAKE[1:]))) as (standby, _):
        await until(lambda: standby.pid)
        waiting = standby.pid
        async with await standby.start(SPEC, TIMING, lambda _: None):
            await until(lambda: standby.pid not in {0, waiting})
            assert not alive(waiting)


async def test_what_it_takes_is_told():
    async with starting() as (standby, _):
        assert not standby.size_bytes
        await until(lambda: standby.size_bytes > 1_000_000)


async def test_it_has_the_time_limits_of_the_day_it_is_needed():
    async with starting() as (standby, _):
        await until(lambda: standby.pid)
        hasty = WorkersConfig(**{**QUICK, "load_timeout_s": 0.3})
        with pytest.raises(WorkerGone, match=r"wasn't ready within 0\.3 s"):
            await standby.start(replace(SPEC, options={"load_s": 60}), hasty, lambda _: None)
