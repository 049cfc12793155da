"""What the configuration says about a model arrives where it is loaded: drafts, adapters, the chat format, the KV cache."""

import pytest
from tests.llama.test_adapter import write_adapter
from tests.runtime.test_daemon import asked, environment

from the_edge_agent.errors import ModelNotFound
from the_edge_agent.inference import SamplingParams, collect
from the_edge_agent.runtime.config import RuntimeConfig, parse_config
from the_edge_agent.runtime.daemon import Ask, Daemon
from the_edge_agent.store.locate import embedded_model_path

QUESTION = asked("Who are you?", sampling=SamplingParams(max_tokens=30))


async def answer_of(tmp_path, config=None):
    async with Daemon(config or RuntimeConfig(), environment(tmp_path)) as core:
        return (await collect(core.answer(Ask(QUESTION)).chunks)).text


async def with_options(tmp_path, options):
    return await answer_of(tmp_path, parse_config(f"models: {{tiny: {{level: operational, {options}}}}}"))


async def test_a_draft_model_leaves_the_text_as_it_is(tmp_path):
    draft = f"draft_model: {embedded_model_path()}, draft_tokens: 4"
    assert await with_options(tmp_path, draft) == await answer_of(tmp_path)


async def test_an_adapter_of_no_strength_changes_nothing_and_a_strong_one_does(tmp_path):
    adapter = write_adapter(tmp_path / "a.gguf", 192)
    plain = await answer_of(tmp_path)
    assert await with_options(tmp_path, f"lora: {{{adapter}: 0.0}}") == plain
    assert await with_options(tmp_path, f"lora: {{{adapter}: 40.0}}") != plain


async def test_another_chat_format_and_kv_cache_are_taken(tmp_path):
    assert await with_options(tmp_path, "chat_format: llama-2, kv_type: f32") != await answer_of(tmp_path)


@pytest.mark.parametrize("option", ["projector: gone.gguf", "draft_model: gone.gguf", "lora: {gone.gguf: 1}"])
async def test_a_file_that_is_not_there_is_named_before_anything_starts(tmp_path, option):
    with pytest.raises(ModelNotFound, match=r"models\.tiny\.\w+: gone.gguf isn't there"):
        await with_options(tmp_path, option)


async def test_a_file_that_can_not_be_looked_at_is_named_too(tmp_path):
    with pytest.raises(ModelNotFound, match=r"models\.tiny\.projector: n+ can't be read: File name too long"):
        await with_options(tmp_path, f"projector: {'n' * 1000}")
