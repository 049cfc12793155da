"""What an agent file says of a local model reaches the loader, with paths that are relative to the file."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

import the_edge_agent
from the_edge_agent.backends.choose import Caller
from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.backends.pool import BackendPool
from the_edge_agent.engine.ports import BackendChoice
from the_edge_agent.errors import ModelLoadFailed, UnsupportedFeature
from the_edge_agent.inference import ChatRequest, Message, SamplingParams, collect
from the_edge_agent.settings import load_settings
from the_edge_agent.workflow.nodes import LlmSettings

TINY = Path(the_edge_agent.__file__).parent / "store" / "embedded" / "tiny.gguf"


async def opened(folder: Path, **settings: object) -> tuple[LocalBackend, str]:
    choice = BackendChoice(
        backend="local",
        settings=LlmSettings(model_path="model.gguf", **settings),  # pyright: ignore[reportArgumentType]
        base_dir=str(folder),
    )
    async with BackendPool(Caller(), load_settings()) as pool:
        backend = (await pool.resolve(choice)).backend
        assert isinstance(backend, LocalBackend)
        request = ChatRequest((Message("user", "Who are you?"),), SamplingParams(max_tokens=20))
        return backend, (await collect(backend.chat(request))).text


def test_every_option_of_a_file_is_kept(tmp_path):
    for name in ("model.gguf", "small.gguf"):
        shutil.copy(TINY, tmp_path / name)
    plain, text = asyncio.run(opened(tmp_path))
    assert plain.plan.deterministic
    drafted, same = asyncio.run(opened(tmp_path, draft_model="small.gguf", draft_tokens=4))
    assert same == text
    assert drafted.plan == plain.plan
    other, _ = asyncio.run(
        opened(
            tmp_path, deterministic=False, kv_type="q8_0", flash_attention=True, use_mmap=True, repack=False
        )
    )
    assert not other.plan.deterministic
    assert (other.plan.context.kv_type, other.plan.context.flash_attention) == ("q8_0", True)
    assert (other.plan.model.use_mmap, other.plan.model.repack) == (True, False)


def test_a_file_that_is_missing_is_named(tmp_path):
    shutil.copy(TINY, tmp_path / "model.gguf")
    for name in ("draft_model", "projector"):
        with pytest.raises((ModelLoadFailed, UnsupportedFeature), match=r"nowhere\.gguf"):
            asyncio.run(opened(tmp_path, **{name: "nowhere.gguf"}))


def test_weights_are_interleaved_for_drafts_unless_that_is_refused():
    assert LocalOptions().wishes().repack is None
    assert LocalOptions(draft_tokens=4).wishes().repack is True
    assert LocalOptions(draft_model=Path("small.gguf")).wishes().repack is True
    assert LocalOptions(draft_tokens=4, repack=False).wishes().repack is False
