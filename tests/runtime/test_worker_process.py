"""A worker process is started, watched, asked, stopped and reaped, whatever it does. Real processes, fake model."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from the_edge_agent.errors import ActionParamsInvalid, ContextLengthExceeded, ModelLoadFailed
from the_edge_agent.inference import ChatRequest, EmbedRequest, Message, SamplingParams, collect
from the_edge_agent.runtime.config import WorkersConfig
from the_edge_agent.runtime.worker_process import WorkerGone, WorkerProcess
from the_edge_agent.runtime.worker_spec import WorkerSpec, scrubbed_environment

FAKE = (sys.executable, "-P", "-m", "the_edge_agent.testing.fake_worker")
TIMING = WorkersConfig(load_timeout_s=20, ping_s=0.1, ping_timeout_s=2.0, stall_s=60, kill_s=1.0)


def spec(**orders):
    return WorkerSpec("fake", "model.gguf", orders, FAKE)


def start(timing=TIMING, **orders):
    return WorkerProcess.start(spec(**orders), timing, dict(os.environ))


def asked(text="Hi", **fields):
    return ChatRequest((Message("user", text),), **fields)


def is_alive(pid):
    """Whether the process runs (a zombie doesn't)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of_group(group):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


def network_of(pid):
    return Path(f"/proc/{pid}/ns/net").readlink()


async def until(condition):
    """Wait for what another process is about to do."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody can set an event for us
            await asyncio.sleep(0.01)


async def test_it_answers_embeds_and_counts_and_is_gone_after_the_block():
    async with await start() as worker:
        answer = await collect(worker.chat(asked("Hello")))
        assert answer.text == "You said: Hello"
        assert answer.usage.completion_tokens == len("You said: Hello")
        assert len((await worker.embed(EmbedRequest(("a", "b")))).vectors) == 2
        assert await worker.count_tokens(asked("four")) == 4
        assert worker.info.backend == "fake"
        assert worker.resident_bytes() > 1_000_000
        pid = worker.pid
        assert is_alive(pid)
    assert not is_alive(pid)


async def test_many_streams_run_at_once_and_stay_apart():
    async with await start(token_s=0.001) as worker:
        texts = [f"stream {i}" for i in range(20)]
        answers = await asyncio.gather(*(collect(worker.chat(asked(text))) for text in texts))
    assert [answer.text for answer in answers] == [f"You said: {text}" for text in texts]


async def test_its_errors_arrive_as_what_they_are():
    async with await start(n_ctx=10) as worker:
        with pytest.raises(ContextLengthExceeded) as caught:
            await collect(worker.chat(asked("far too long a prompt")))
        assert (caught.value.needed, caught.value.n_ctx) == (21, 10)
        assert (await collect(worker.chat(asked("ok")))).text


async def test_a_model_that_can_not_be_opened_is_the_models_own_error():
    with pytest.raises(ModelLoadFailed, match="no such quantization"):
        await start(refuse_to_load="no such quantization")


async def test_a_worker_that_dies_while_loading_tells_its_exit_code_and_last_line():
    with pytest.raises(WorkerGone, match="exit code 3; its last line was: fake failure"):
        await start(exit_at_load=3)


async def test_a_worker_that_is_not_ready_in_time_is_killed():
    started = []
    with pytest.raises(WorkerGone, match="wasn't ready within"):
        await WorkerProcess.start(
            spec(load_s=60), WorkersConfig(load_timeout_s=1.0), dict(os.environ), on_process=started.append
        )
    assert not is_alive(started[0].pid)


async def test_a_binary_that_is_missing_is_said():
    with pytest.raises(WorkerGone, match="can't be started: No such file"):
        await WorkerProcess.start(WorkerSpec("x", "", {}, ("no-such-binary",)), TIMING, {})


async def test_a_start_that_is_cancelled_leaves_nothing():
    started = []
    task = asyncio.create_task(
        WorkerProcess.start(spec(load_s=60), TIMING, dict(os.environ), on_process=started.append)
    )
    await until(lambda: started)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(started[0].pid)


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        ({"exit_after_tokens": 3}, "ended with exit code 7"),
        ({"hang_after_tokens": 3}, "hung: no answer to a ping"),
        ({"stall_after_tokens": 3}, "hung: no progress"),
        ({"lie_after_tokens": 3}, "broke the protocol"),
    ],
)
async def test_a_worker_that_dies_hangs_stalls_or_lies_ends_its_streams_with_the_reason(orders, why):
    timing = WorkersConfig(load_timeout_s=20, ping_s=0.1, ping_timeout_s=1.0, stall_s=0.5, kill_s=1.0)
    worker = await start(timing, **orders)
    text = ""
    with pytest.raises(WorkerGone, match=why):  # noqa: PT012
        async for chunk in worker.chat(asked("Hello")):
            text += chunk.text
    assert text == "You"
    assert why in await worker.wait_gone()
    await worker.stop()
    await until(lambda: children_of_group(worker.pid) == [])
    with pytest.raises(WorkerGone):
        await collect(worker.chat(asked()))


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
async def test_every_open_stream_hears_of_a_killed_or_frozen_worker(sign):
    async with await start(token_s=0.01) as worker:
        streams = [worker.chat(asked("Hello")) for _ in range(4)]
        for stream in streams:
            await anext(stream)
        os.kill(worker.pid, sign)
        for stream in streams:
            with pytest.raises(WorkerGone):
                await collect(stream)
    assert not is_alive(worker.pid)


async def test_closing_a_stream_cancels_the_work():
    async with await start(token_s=0.005, text="x" * 100_000) as worker:
        stream = worker.chat(asked())
        await anext(stream)
        await stream.aclose()
        assert not worker._streams
        assert (await collect(worker.chat(asked(sampling=SamplingParams(max_tokens=2))))).text == "xx"


async def test_a_worker_that_ignores_sigterm_is_killed_and_so_are_its_children():
    worker = await start(ignore_sigterm=True, leave_child=True)
    assert len(children_of_group(worker.pid)) == 2
    await worker.stop()
    await until(lambda: children_of_group(worker.pid) == [])


async def test_children_of_a_killed_worker_go_too():
    worker = await start(leave_child=True)
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait_gone()
    await until(lambda: children_of_group(worker.pid) == [])
    await worker.stop()


async def test_no_worker_outlives_its_daemon():
    script = (
        "import asyncio, os\n"
        "from the_edge_agent.runtime.config import WorkersConfig\n"
        "from the_edge_agent.runtime.worker_process import WorkerProcess, WorkerSpec\n"
        "async def main():\n"
        f"    worker = await WorkerProcess.start(WorkerSpec('f', 'x', {{'leave_child': True}}, {FAKE!r}), WorkersConfig(), dict(os.environ))\n"
        "    print(worker.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    pid = int(await daemon.stdout.readline())
    assert is_alive(pid)
    daemon.kill()
    await daemon.wait()
    await until(lambda: not is_alive(pid))
    for child in children_of_group(pid):
        os.kill(child, signal.SIGKILL)


async def test_only_fields_on_the_list_reach_a_worker():
    async with await start() as worker:
        for tree in (
            {"messages": [], "exec": "rm"},
            {"messages": [], "sampling": {"temperature": float("nan")}},
            7,
        ):
            with pytest.raises(ActionParamsInvalid):
                await worker._call("chat", tree)


def test_a_worker_sees_no_secret_and_no_empty_path_element():
    seen = scrubbed_environment(
        {
            "PATH": "/bin",
            "HOME": "/h",
            "OPENAI_API_KEY": "s",
            "AWS_SECRET": "s",
            "LD_LIBRARY_PATH": ":/a:",
            "LD_PRELOAD": "x",
        }
    )
    assert seen == {"PATH": "/bin", "HOME": "/h", "LD_LIBRARY_PATH": "/a", "PYTHONUNBUFFERED": "1"}


async def test_an_offline_worker_has_no_network_or_does_not_start():
    offline = WorkerSpec("fake", "m", {}, FAKE, offline=True)
    try:
        worker = await WorkerProcess.start(offline, TIMING, dict(os.environ))
    except WorkerGone as gone:
        worker, failure = None, str(gone)
    if worker is None:
        assert "gives a worker no network namespace" in failure
        return
    async with worker:
        assert network_of(worker.pid) != network_of("self")
        assert (await collect(worker.chat(asked("Hi")))).text == "You said: Hi"


async def test_a_llama_server_that_is_not_installed_is_said():
    command = (sys.executable, "-P", "-m", "the_edge_agent.runtime.llama_server_worker")
    with pytest.raises(ModelLoadFailed, match=r"/no/such/server is no program here; .*workers\.llama_server"):
        await WorkerProcess.start(
            WorkerSpec("x", "x.gguf", {"binary": "/no/such/server"}, command), TIMING, dict(os.environ)
        )
