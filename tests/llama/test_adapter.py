"""LoRA adapters, written here for the embedded model: they bend it, and go away with their context."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gguf
from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.errors import ModelLoadFailed, UseAfterClose
from the_edge_agent.llama.adapter import LlamaAdapter
from the_edge_agent.llama.batch import LlamaBatch
from the_edge_agent.llama.context import LlamaContext
from the_edge_agent.llama.params import ContextParams

PARAMS = ContextParams(n_ctx=256, n_ubatch=48, flash_attention=True)
RANK = 4


def write_adapter(path: Path, width: int, architecture: str = "llama") -> Path:
    chance = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    for part in ("attn_q", "attn_output"):
        writer.add_tensor(
            f"blk.0.{part}.weight.lora_a", chance.standard_normal((RANK, width)).astype(np.float32)
        )
        writer.add_tensor(
            f"blk.0.{part}.weight.lora_b", chance.standard_normal((width, RANK)).astype(np.float32)
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(model, adapters=()) -> bytes:
    with LlamaContext(model, PARAMS, adapters) as context:
        batch = LlamaBatch(model.library.bindings, 8)
        batch.extend([10, 11, 12], 0, 0, n_outputs=1)
        context.decode(batch)
        return bytes(context.logits(2))


def test_an_adapter_bends_the_model_as_strongly_as_it_is_told(model, tmp_path):
    with LlamaAdapter.load(model, write_adapter(tmp_path / "a.gguf", 192)) as adapter:
        plain, half, full = logits(model), logits(model, [(adapter, 0.5)]), logits(model, [(adapter, 1.0)])
        assert len({plain, half, full}) == 3
        assert logits(model, [(adapter, 0.0)]) == plain


def test_a_context_keeps_its_adapters_when_they_are_closed(model, tmp_path):
    adapter = LlamaAdapter.load(model, write_adapter(tmp_path / "a.gguf", 192))
    context = LlamaContext(model, PARAMS, [(adapter, 1.0)])
    adapter.close()
    batch = LlamaBatch(model.library.bindings, 8)
    batch.extend([10, 11, 12], 0, 0, n_outputs=1)
    context.decode(batch)
    context.close()
    with pytest.raises(UseAfterClose, match="this adapter is closed"):
        LlamaContext(model, PARAMS, [(adapter, 1.0)])


@pytest.mark.parametrize(("width", "architecture"), [(128, "llama"), (192, "gemma3")])
def test_an_adapter_of_another_model_is_refused(model, tmp_path, width, architecture):
    with pytest.raises(ModelLoadFailed, match=r"a\.gguf"):
        LlamaAdapter.load(model, write_adapter(tmp_path / "a.gguf", width, architecture))


def test_a_model_is_no_adapter_and_a_missing_file_is_named(model, tiny_path, tmp_path):
    with pytest.raises(ModelLoadFailed):
        LlamaAdapter.load(model, tiny_path)
    with pytest.raises(ModelLoadFailed, match="no such file"):
        LlamaAdapter.load(model, tmp_path / "absent.gguf")


def test_the_backend_loads_adapters(tiny_path, tmp_path):
    path = write_adapter(tmp_path / "a.gguf", 192)
    LocalBackend.load(tiny_path, LocalOptions(n_ctx=256, lora=((path, 1.0),))).close()
    with pytest.raises(ModelLoadFailed):
        LocalBackend.load(tiny_path, LocalOptions(n_ctx=256, lora=((tmp_path / "absent.gguf", 1.0),)))
