"""The manager keeps the scheduler's promises with real processes; the model is the fake."""

import asyncio
import os
import random
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rounds import rounds

from the_edge_agent.errors import (
    BackendTimeout,
    BackendUnavailable,
    ContextLengthExceeded,
    ModelNotFound,
    OutOfMemory,
    RateLimited,
)
from the_edge_agent.inference import ChatRequest, EmbedRequest, Message, SamplingParams, collect
from the_edge_agent.runtime.config import LimitsConfig, WorkersConfig
from the_edge_agent.runtime.manager import Manager
from the_edge_agent.runtime.model_status import ManagedModel
from the_edge_agent.runtime.schedule import Model
from the_edge_agent.runtime.worker_spec import WorkerSpec

FAKE = (sys.executable, "-P", "-m", "the_edge_agent.testing.fake_worker")
QUICK = {
    "load_timeout_s": 20,
    "ping_s": 0.1,
    "ping_timeout_s": 2.0,
    "kill_s": 1.0,
    "backoff_s": 0.01,
    "drain_s": 0.5,
}
LONG = "the quick brown fox jumps over the lazy dog; " * 3


def model(name="fake", *, size_bytes=1, slots=8, pinned=False, keep_alive_s=300.0, **orders):
    return ManagedModel(
        Model(name, size_bytes, slots=slots, pinned=pinned, keep_alive_s=keep_alive_s),
        WorkerSpec(name, f"{name}.gguf", orders, FAKE),
    )


def managed(*models, memory_bytes=10**12, limits=None, **workers):
    return Manager(
        models,
        limits=LimitsConfig(**(limits or {})),
        workers=WorkersConfig(**{**QUICK, **workers}),
        memory_bytes=memory_bytes,
        environ=dict(os.environ),
        wall_clock=time.time,
    )


def asked(text="Hi", **fields):
    return ChatRequest((Message("user", text),), **fields)


async def answer(manager, name="fake", text="Hi", **fields):
    return (await collect(manager.chat(name, asked(text, **fields)))).text


def open_descriptors():
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody can set an event for us
            await asyncio.sleep(0.005)


async def test_one_worker_serves_all_who_ask_at_once():
    async with managed(model()) as manager:
        answers = await asyncio.gather(*(answer(manager, text=str(i)) for i in range(20)))
        assert answers == [f"You said: {i}" for i in range(20)]
        assert manager.status("fake").requests == 20
        assert manager.status("fake").active == 0
        assert manager.queue_length == 0
        assert manager.used_bytes > 1_000_000


async def test_an_unknown_model_is_named():
    async with managed(model()) as manager:
        with pytest.raises(ModelNotFound, match="no model is called 'nobody'; known are fake"):
            await answer(manager, "nobody")


async def test_a_models_own_error_reaches_the_asker_and_the_worker_lives_on():
    async with managed(model(n_ctx=5)) as manager:
        with pytest.raises(ContextLengthExceeded):
            await answer(manager, text="too long")
        assert manager.status("fake").crashes == 0
        assert (await manager.embed("fake", EmbedRequest(("a",)))).vectors
        assert await manager.count_tokens("fake", asked("abc")) == 3


@pytest.mark.parametrize(
    "fault", ["exit_after_tokens", "hang_after_tokens", "stall_after_tokens", "lie_after_tokens"]
)
async def test_streams_go_on_where_they_stopped_when_their_worker_dies_hangs_stalls_or_lies(fault, tmp_path):
    orders = {fault: 20, "once_file": str(tmp_path / "once"), "text": LONG + "{prompt}"}
    async with managed(model(**orders), ping_timeout_s=0.8, stall_s=0.4) as manager:
        answers = await asyncio.gather(*(answer(manager, text=str(i)) for i in range(4)))
        assert answers == [f"{LONG}{i}" for i in range(4)]
        assert manager.status("fake").crashes == 1
        # Only the answer that got stuck is silent in a worker that stalls; the others are done by then.
        assert manager.status("fake").resumed == (1 if fault == "stall_after_tokens" else 4)


@pytest.mark.long
async def test_killed_at_random_tokens_no_stream_loses_or_doubles_one():
    fates = random.Random(7)
    expected = [f"{LONG}{i}" for i in range(8)]
    async with managed(
        model(text=LONG + "{prompt}", token_s=0.002), crash_limit=10**6, backoff_s=0
    ) as manager:
        for turn in range(rounds(3, 20, 200)):
            await manager.load("fake")
            pid = manager.status("fake").pid
            streams = [asyncio.create_task(answer(manager, text=str(i))) for i in range(8)]
            await asyncio.sleep(fates.uniform(0.01, 0.25))
            os.kill(pid, signal.SIGKILL if turn % 4 else signal.SIGSTOP)
            assert await asyncio.gather(*streams) == expected


async def test_a_worker_that_dies_behind_the_very_last_token_costs_nothing_and_adds_nothing(tmp_path):
    orders = {"exit_after_tokens": 5, "once_file": str(tmp_path / "once"), "text": "abcdefgh"}
    async with managed(model(**orders)) as manager:
        done = await collect(manager.chat("fake", asked(sampling=SamplingParams(max_tokens=5))))
        assert (done.text, done.finish_reason) == ("abcde", "length")
        assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (2, 5)


async def test_a_stream_whose_worker_tells_no_ids_is_asked_for_again_and_shows_nothing_twice(tmp_path):
    orders = {"exit_after_tokens": 20, "once_file": str(tmp_path / "once"), "text": LONG + "{prompt}"}
    async with managed(model(without_ids=True, **orders)) as manager:
        answers = await asyncio.gather(*(answer(manager, text=str(i)) for i in range(4)))
        assert answers == [f"{LONG}{i}" for i in range(4)]
        assert manager.status("fake").resumed == 4


@pytest.mark.parametrize("text_after", ["Something else", "Tell", LONG[:3]])
async def test_what_was_shown_and_is_not_said_again_ends_the_stream_with_one_error(tmp_path, text_after):
    orders = {
        "exit_after_tokens": 5,
        "once_file": str(tmp_path / "once"),
        "text": LONG,
        "text_after": text_after,
    }
    async with managed(model(without_ids=True, **orders)) as manager:
        with pytest.raises(BackendUnavailable, match="the next one answers otherwise"):
            await answer(manager)


async def test_without_ids_and_without_a_seed_a_drawn_answer_cannot_be_repeated(tmp_path):
    orders = {"exit_after_tokens": 5, "once_file": str(tmp_path / "once"), "text": LONG}
    drawn = SamplingParams(temperature=1.0)
    async with managed(model(without_ids=True, **orders)) as manager:
        with pytest.raises(BackendUnavailable, match="can't be taken up"):
            await collect(manager.chat("fake", asked(sampling=drawn)))
        (tmp_path / "once").unlink()
        seeded = replace(drawn, seed=1)
        assert (await collect(manager.chat("fake", asked(sampling=seeded)))).text == LONG


async def test_a_stream_is_never_gone_on_with_from_another_file(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_text("one")
    managed_model = model(text="x" * 1000, token_s=0.001)
    spec = replace(managed_model.spec, path=str(path))
    async with managed(ManagedModel(managed_model.model, spec)) as manager:
        stream = manager.chat("fake", asked())
        await anext(stream)
        path.write_text("two, a new file")
        os.kill(manager.status("fake").pid, signal.SIGKILL)
        with pytest.raises(BackendUnavailable, match="replaced in mid-answer"):
            await collect(stream)
        assert len(await answer(manager)) == 1000


async def test_a_model_that_keeps_crashing_is_failed_with_its_exit_code_and_last_line():
    async with managed(model(exit_at_load=3), crash_limit=3) as manager:
        with pytest.raises(BackendUnavailable, match="exit code 3; its last line was: fake failure"):
            await answer(manager)
        assert manager.status("fake").phase == "failed"
        with pytest.raises(BackendUnavailable, match="can't be loaded"):
            await manager.load("fake")


async def test_a_file_that_can_not_be_loaded_is_tried_once():
    async with managed(model(refuse_to_load="bad magic")) as manager:
        with pytest.raises(BackendUnavailable, match="bad magic"):
            await answer(manager)
        assert manager.status("fake").crashes == 1


async def test_two_models_that_do_not_fit_together_take_turns():
    mib = 2**20
    a, b = (
        model("a", size_bytes=60 * mib, ballast_bytes=60 * mib),
        model("b", size_bytes=60 * mib, ballast_bytes=60 * mib),
    )
    async with managed(a, b, memory_bytes=130 * mib) as manager:
        for _ in range(2):
            for name in "ab":
                assert await answer(manager, name) == "You said: Hi"
                assert manager.loaded() == {name}


async def test_a_model_that_can_never_fit_is_refused_with_the_figures():
    async with managed(model(size_bytes=100), memory_bytes=50) as manager:
        with pytest.raises(OutOfMemory, match="needs 100 bytes and 50"):
            await answer(manager)
        with pytest.raises(OutOfMemory):
            await manager.load("fake")


async def test_an_idle_model_goes_and_comes_back_when_it_is_asked():
    async with managed(model(keep_alive_s=0.2)) as manager:
        await answer(manager)
        await until(lambda: manager.status("fake").phase == "unloaded")
        assert manager.status("fake").pid == 0
        assert await answer(manager) == "You said: Hi"


async def test_unload_ends_what_is_not_done_in_time():
    async with managed(model(text="x" * 10_000, token_s=0.01), drain_s=0.2) as manager:
        stream = manager.chat("fake", asked())
        await anext(stream)
        await manager.unload("fake")
        with pytest.raises(Exception, match="was unloaded"):
            await collect(stream)
        assert manager.status("fake").phase == "unloaded"


async def test_unload_returns_though_somebody_who_waits_gets_the_model_again_at_once():
    async with managed(model(slots=1, text="x" * 40, token_s=0.01), drain_s=5) as manager:
        running = [asyncio.create_task(answer(manager)) for _ in range(3)]
        await until(lambda: manager.status("fake").active == 1)
        first = manager.status("fake").pid
        async with asyncio.timeout(20):
            await manager.unload("fake")
        assert manager.status("fake").phase == "loading"
        assert await asyncio.gather(*running) == ["x" * 40] * 3
        assert manager.status("fake").pid != first


async def test_an_unload_that_a_later_load_takes_back_returns():
    async with managed(model(text="x" * 10_000, token_s=0.01), drain_s=60) as manager:
        stream = manager.chat("fake", asked())
        await anext(stream)
        unloading = asyncio.create_task(manager.unload("fake"))
        await until(lambda: unloading.done() or manager.status("fake").phase == "ready")
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            assert (await manager.load("fake")).phase == "ready"
            await unloading
        await stream.aclose()


async def test_the_queue_is_bounded_and_says_when_to_come_again():
    async with managed(model(slots=1, text="x" * 10_000, token_s=0.01), limits={"queue_size": 2}) as manager:
        await manager.load("fake")
        running = [asyncio.create_task(answer(manager)) for _ in range(3)]
        await until(lambda: manager.queue_length == 2)
        with pytest.raises(RateLimited) as caught:
            await answer(manager)
        assert caught.value.retry_after_s >= 1
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert (manager.queue_length, manager.status("fake").active) == (0, 0)


@pytest.mark.parametrize("phase", ["load", "queue", "stream"])
async def test_a_deadline_holds_in_every_phase(phase):
    orders = {"load_s": 30} if phase == "load" else {"text": "x" * 10_000, "token_s": 0.01}
    async with managed(model(slots=1, **orders)) as manager:
        other = None
        if phase == "queue":
            other = manager.chat("fake", asked())
            await anext(other)
        elif phase == "stream":
            await manager.load("fake")
        with pytest.raises(BackendTimeout):
            await answer(manager, deadline_s=0.3)
        if other is not None:
            await other.aclose()
        assert (manager.queue_length, manager.status("fake").active) == (0, 0)


async def test_a_reader_who_leaves_frees_the_slot_in_load_queue_and_stream():
    async with managed(model(slots=1, text="x" * 10_000, token_s=0.01, load_s=0.2)) as manager:
        loading = asyncio.create_task(answer(manager))
        await until(lambda: manager.status("fake").phase == "loading")
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        assert manager.queue_length == 0
        first = manager.chat("fake", asked())
        await anext(first)
        queued = asyncio.create_task(answer(manager))
        await until(lambda: manager.queue_length == 1)
        queued.cancel()
        await asyncio.gather(queued, return_exceptions=True)
        await first.aclose()
        assert (manager.queue_length, manager.status("fake").active) == (0, 0)


async def test_draining_lets_running_answers_finish_and_takes_nothing_new():
    async with managed(model(token_s=0.01)) as manager:
        await manager.load("fake")
        running = asyncio.create_task(answer(manager))
        await until(lambda: manager.status("fake").active == 1)
        draining = asyncio.create_task(manager.drain(10))
        await asyncio.sleep(0)
        with pytest.raises(BackendUnavailable, match="stopping"):
            await answer(manager)
        assert await draining
        assert await running == "You said: Hi"


async def test_leaving_the_block_stops_every_worker_whatever_it_does():
    async with managed(model("a"), model("b", load_s=60), model("c", ignore_sigterm=True)) as manager:
        manager.preload(["b"])
        await asyncio.gather(answer(manager, "a"), answer(manager, "c"))
        await until(lambda: manager.status("b").pid)
        pids = [status.pid for status in manager.statuses()]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_model_can_be_added_changed_and_removed_while_it_runs():
    async with managed(model("a")) as manager:
        manager.add(model("b"))
        assert await answer(manager, "b") == "You said: Hi"
        manager.remove("b")
        await until(lambda: "b" not in manager.names)
        with pytest.raises(ModelNotFound):
            await answer(manager, "b")


async def test_a_worker_that_could_not_open_its_model_leaves_its_log():
    async with managed(model(refuse_to_load="no such quantization")) as manager:
        with pytest.raises(BackendUnavailable):
            await manager.load("fake")
        assert any("opens fake.gguf" in line for line in manager.log_lines("fake"))


async def test_a_daemon_out_of_descriptors_tries_again_and_no_model_is_stuck():
    async with managed(model(), crash_limit=10**6) as manager:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors(), hard))
        try:
            loading = asyncio.create_task(manager.load("fake"))
            await until(lambda: manager.status("fake").crashes)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await loading).phase == "ready"


async def test_a_load_that_is_asked_for_while_the_daemon_stops_is_refused_at_once():
    async with managed(model(token_s=0.01), model("other")) as manager:
        await manager.load("fake")
        assert await manager.drain(5)
        with pytest.raises(BackendUnavailable, match="the daemon is stopping"):
            await asyncio.wait_for(manager.load("other"), 5)
        assert (await manager.load("fake")).phase == "ready"
