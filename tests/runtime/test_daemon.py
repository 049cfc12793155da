"""The core under every edge: routes, boots, climbs, reloads. The embedded model and real workers."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.runtime.test_manager import until

from the_edge_agent.errors import BackendUnavailable, ModelNotFound, PathRefused
from the_edge_agent.inference import ChatRequest, EmbedRequest, Message, SamplingParams, collect
from the_edge_agent.runtime.config import BootConfig, ModelConfig, RuntimeConfig, WorkersConfig, parse_config
from the_edge_agent.runtime.daemon import Ask, Daemon
from the_edge_agent.runtime.model_status import ManagedModel
from the_edge_agent.runtime.registry import Registered
from the_edge_agent.runtime.schedule import Model
from the_edge_agent.runtime.worker_spec import WorkerSpec
from the_edge_agent.settings import load_settings
from the_edge_agent.store.locate import embedded_model_path

FAKE = (sys.executable, "-P", "-m", "the_edge_agent.testing.fake_worker")


def environment(tmp_path, **extra):
    return load_settings({"HOME": str(tmp_path), "PATH": os.environ["PATH"], **extra})


def fake(name, level="operational", **orders):
    operational = level == "operational"
    return Registered(
        ManagedModel(
            Model(name, 1, slots=4, pinned=operational, wanted=operational),
            WorkerSpec(name, name, orders, FAKE),
        ),
        level,
        Path(name),
        0,
    )


def daemon(tmp_path, *models, **config):
    return Daemon(
        RuntimeConfig(**config), environment(tmp_path), models={model.name: model for model in models}
    )


def asked(text="Hi", **fields):
    return ChatRequest((Message("user", text),), **fields)


async def test_without_any_configuration_the_embedded_model_is_operational_and_passes_the_boot_check(
    tmp_path,
):
    async with Daemon(RuntimeConfig(), environment(tmp_path)) as core:
        assert "ok" in (await core.boot()).lower()
        assert core.ready
        answer = core.answer(Ask(asked("What is 2+2?", sampling=SamplingParams(max_tokens=30))))
        assert (await collect(answer.chunks)).text.endswith("4")
        assert answer.route.reason.startswith("auto:")
        assert len((await core.embed(EmbedRequest(("a", "b")))).vectors) == 2
        assert await core.count_tokens(asked("Hello")) > 3


async def test_a_model_that_does_not_answer_the_boot_check_in_three_tries_ends_the_boot_with_the_reason(
    tmp_path,
):
    async with daemon(tmp_path, fake("mute", text="NO")) as core:
        with pytest.raises(BackendUnavailable, match="3 times and last answered 'NO'"):
            await core.boot()
        assert core.manager.status("mute").requests == 3
        assert not core.ready


async def test_a_model_that_can_not_be_loaded_ends_the_boot_with_its_own_error(tmp_path):
    async with daemon(tmp_path, fake("bad", refuse_to_load="bad magic")) as core:
        with pytest.raises(BackendUnavailable, match="bad magic"):
            await core.boot()


async def test_its_health_is_that_of_its_operational_models_which_are_tried_again(tmp_path):
    workers = WorkersConfig(crash_limit=1, failed_retry_s=0.5)
    async with daemon(tmp_path, fake("op"), fake("other", "tactical"), workers=workers) as core:
        assert core.health == "starting"
        core.ready = True
        await core.manager.load("op")
        assert core.health == "ok"
        os.kill(core.manager.status("op").pid, signal.SIGKILL)
        await until(lambda: core.health == "failed: op")
        await until(lambda: core.health == "ok" and core.manager.status("op").phase == "ready")


async def test_escalation_climbs_on_proof_and_says_so(tmp_path):
    tiny, mid = fake("tiny", text="I can't."), fake("mid", "tactical", text="Paris")
    async with daemon(tmp_path, tiny, mid) as core:
        answer = core.answer(Ask(asked("Capital of France?"), escalate=True, must_contain=("paris",)))
        completion = await collect(answer.chunks)
        assert completion.text == "Paris"
        assert answer.route.target.name == "mid"
        assert completion.notices == ("tiny answered, but it lacks 'paris'; tactical is asked",)


async def test_without_escalation_the_first_answer_stands(tmp_path):
    async with daemon(tmp_path, fake("tiny", text="I can't."), fake("mid", "tactical")) as core:
        assert (await collect(core.answer(Ask(asked())).chunks)).text == "I can't."


async def test_a_model_of_the_store_is_taken_in_by_name_and_an_unknown_name_is_refused(tmp_path):
    async with daemon(tmp_path, fake("a")) as core:
        with pytest.raises(ModelNotFound):
            core.answer(Ask(asked(model="tyni")))
        answer = core.answer(Ask(asked("What is 2+2?", model="tiny", sampling=SamplingParams(max_tokens=9))))
        assert (await collect(answer.chunks)).text
        assert core.level("tiny") == "tactical"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b", "..", "x\0y"])
async def test_a_name_never_becomes_a_path(tmp_path, name):
    async with daemon(tmp_path, fake("a")) as core:
        with pytest.raises(ModelNotFound):
            core.answer(Ask(asked(model=name)))


async def test_a_path_is_loaded_only_from_the_folders_that_are_allowed_even_through_symlinks(tmp_path):
    allowed = tmp_path / "models"
    allowed.mkdir()
    outside = tmp_path / "outside.gguf"
    outside.write_bytes(embedded_model_path().read_bytes())
    (allowed / "inside.gguf").write_bytes(outside.read_bytes())
    (allowed / "link.gguf").symlink_to(outside)
    async with daemon(tmp_path, fake("a"), model_dirs=(str(allowed),)) as core:
        for path in (outside, allowed / "link.gguf", allowed / ".." / "outside.gguf", "/etc/passwd"):
            with pytest.raises(PathRefused):
                await core.load("m", path=str(path))
        assert (
            await core.load("m", path=str(allowed / "inside.gguf"), model=ModelConfig(parallel=2))
        ).phase == "ready"
        assert core.manager.status("m").slots == 2


async def test_reload_adds_changes_and_removes_and_keeps_the_old_one_if_the_new_one_is_wrong(tmp_path):
    place = environment(tmp_path)
    first = parse_config("models: {tiny: {level: operational}}\nboot: {enabled: false}")
    async with Daemon(first, place) as core:
        await core.boot()
        done = core.reload(
            parse_config("models: {tiny: {level: operational, parallel: 2}, second: {path: tiny}}")
        )
        assert [line.partition(" (")[0] for line in done] == ["tiny changed", "second added"]
        assert core.manager.status("tiny").slots == 2
        with pytest.raises(ModelNotFound, match=r"models\.gone"):
            core.reload(parse_config("models: {gone: {path: /no/such.gguf}}"))
        assert core.manager.names == ("tiny", "second")
        assert "second removed" in core.reload(first)
        assert core.reload(replace(first, socket="/elsewhere")) == ("socket: a change needs a restart",)


async def test_a_reload_says_what_it_does_not_change(tmp_path):
    first = parse_config("models: {tiny: {level: operational}}")
    async with Daemon(first, environment(tmp_path)) as core:
        await core.boot()
        done = core.reload(
            parse_config(
                "models: {tiny: {level: operational}}\noffline: true\napi_key_env: KEYS\nagents: {a: /a.yaml}\n"
                "limits: {connections: 7, queue_size: 7}\nshutdown_s: 1\n"
            )
        )
        assert done == (
            "tiny changed (its worker goes on as it was started, until it is unloaded)",
            "shutdown_s changed",
            "limits changed",
            "api_key_env: a change needs a restart",
            "agents: a change needs a restart",
            "limits.connections: a change needs a restart",
        )
        keys = parse_config("models: {tiny: {level: operational}}\napi_key_env: KEYS\n")
        core.reload(keys)
        assert core.reload(keys) == ("api_key_env: a change needs a restart",), "it still isn't in force"


async def test_the_boot_check_can_be_left_out(tmp_path):
    async with daemon(tmp_path, fake("mute", text="NO"), boot=BootConfig(enabled=False)) as core:
        assert await core.boot() == ""
        assert core.ready


async def test_what_comes_next_is_loaded_by_name_or_level_and_the_rest_is_skipped(tmp_path):
    models = (fake("tiny"), fake("big", "tactical"), fake("other", "tactical"))
    async with daemon(tmp_path, *models) as core:
        await core.load("tiny")
        core.preload(["auto", "unknown", "tiny", "tactical"])
        assert core.manager.status("big").phase == "loading"
        assert core.manager.status("other").phase == "unloaded"
        core.preload(["other"])
        assert core.manager.status("other").phase == "loading"
