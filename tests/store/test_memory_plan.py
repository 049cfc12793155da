"""What a model needs before it is loaded, against figures that llama.cpp itself reports."""

from __future__ import annotations

from the_edge_agent.gguf import parse_header_bytes
from the_edge_agent.gguf.types import ValueType
from the_edge_agent.store.memory_plan import available_memory_bytes, kv_bytes, plan_memory
from the_edge_agent.testing.gguf_file import FakeGguf, FakeTensor

U32 = ValueType.UINT32
MIB = 1 << 20


def header(architecture, **numbers):
    metadata = {"general.architecture": (ValueType.STRING, architecture)}
    metadata |= {f"{architecture}.{key.replace('__', '.')}": (U32, value) for key, value in numbers.items()}
    metadata["tokenizer.ggml.tokens"] = (ValueType.ARRAY, (ValueType.STRING, ["a"] * 100))
    return parse_header_bytes(FakeGguf(metadata=metadata, tensors=(FakeTensor("w", (1024, 64)),)).build())


TINYLLAMA = header(
    "llama",
    context_length=2048,
    embedding_length=2048,
    block_count=22,
    feed_forward_length=5632,
    attention__head_count=32,
    attention__head_count_kv=4,
)
GEMMA = header(
    "gemma3",
    context_length=32768,
    embedding_length=1152,
    block_count=26,
    feed_forward_length=6912,
    attention__head_count=4,
    attention__head_count_kv=1,
    attention__key_length=256,
    attention__value_length=256,
    attention__sliding_window=512,
)


def test_the_kv_cache_of_a_plain_model_is_keys_and_values_of_all_layers():
    assert kv_bytes(TINYLLAMA, 2048) == 44 * MIB  # 22 layers x 2,048 tokens x 4 heads x 64 x 2 x 2 bytes


def test_layers_with_a_sliding_window_hold_no_more_than_their_window():
    whole, windowed = 4, 22
    per_token = 1 * (256 + 256) * 2
    assert kv_bytes(GEMMA, 32768) == (whole * 32768 + windowed * 1024) * per_token
    assert kv_bytes(GEMMA, 256) == 26 * 256 * per_token


def test_a_plan_that_fits_says_how_much_context_would():
    plan = plan_memory(TINYLLAMA, 1024, 4 << 30)
    assert plan.fits
    assert plan.weights_bytes == 1024 * 64 * 4
    assert plan.total_bytes == plan.weights_bytes + plan.kv_bytes + plan.compute_bytes
    assert plan.largest_n_ctx == 2048


def test_a_plan_that_does_not_fit_says_what_would():
    needed = plan_memory(TINYLLAMA, 1024, 1 << 40).total_bytes
    plan = plan_memory(TINYLLAMA, 2048, int(needed / 0.9) + 1)
    assert not plan.fits
    assert plan.largest_n_ctx == 1024
    assert plan_memory(TINYLLAMA, 2048, 1000).largest_n_ctx == 0


def test_this_machine_says_what_it_has():
    assert available_memory_bytes() > 1 << 26
