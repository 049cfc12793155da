"""How a model is put into memory: the rules, on machines and headers that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from the_edge_agent.errors import OutOfMemory, UsageError
from the_edge_agent.gguf import GgufHeader, TensorInfo, read_header
from the_edge_agent.llama.machine import Machine, read_machine
from the_edge_agent.llama.params import ModelParams
from the_edge_agent.llama.plan import LoadWishes, kv_cell_bytes, plan_load, resolve_threads

MB = 10**6
IDLE = Machine(physical_cores=4, load=0.2, available_bytes=32_000 * MB)


def header(
    weights_mb: float, kind: str = "Q4_K", n_ctx: int = 131_072, layers: int = 32, kv_heads: int = 8
) -> GgufHeader:
    size = int(weights_mb * MB)
    metadata = {
        "general.architecture": "llama",
        "llama.context_length": n_ctx,
        "llama.block_count": layers,
        "llama.embedding_length": 4096,
        "llama.feed_forward_length": 14336,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": kv_heads,
    }
    return GgufHeader(3, metadata, (TensorInfo("w", (size, 1), kind, 0, size),), 32, 0, size)


def test_128k_is_never_allocated_unasked():
    assert plan_load(header(4_100), LoadWishes(), IDLE).n_ctx <= 8_192


def test_mistral_7b_stays_under_5_gb_unasked():
    plan = plan_load(header(4_100, n_ctx=32_768), LoadWishes(), IDLE)
    assert plan.total < 5_000 * MB
    assert plan.n_ctx >= 2_048


def test_what_is_asked_for_is_given():
    plan = plan_load(header(4_100), LoadWishes(n_ctx=65_536, n_threads=7, n_seq_max=3, use_mmap=True), IDLE)
    assert (plan.n_ctx, plan.context.n_threads, plan.context.n_seq_max, plan.model.use_mmap) == (
        65_536,
        7,
        3,
        True,
    )
    assert plan.context.n_ctx >= 65_536


def test_a_smaller_training_context_caps_it():
    assert plan_load(header(700, n_ctx=2_048), LoadWishes(), IDLE).n_ctx == 2_048


def test_less_memory_gives_a_shorter_context_unasked():
    roomy = plan_load(header(4_100), LoadWishes(), IDLE)
    tight = plan_load(header(4_100), LoadWishes(), Machine(4, 0.2, 4_600 * MB))
    assert tight.n_ctx < roomy.n_ctx
    assert tight.total <= 4_600 * MB


def test_what_does_not_fit_is_refused_before_loading_with_both_figures():
    with pytest.raises(OutOfMemory, match=r"total .* MB.*1,000 MB are free.*take a smaller model"):
        plan_load(header(4_100), LoadWishes(), Machine(4, 0.2, 1_000 * MB))
    with pytest.raises(OutOfMemory, match="lower n_ctx"):
        plan_load(header(4_100), LoadWishes(n_ctx=1_000_000), IDLE)


def test_unknown_memory_refuses_nothing():
    assert plan_load(header(400_000), LoadWishes(), Machine(4, 0.2, 0)).n_ctx > 0


def test_a_tiny_model_is_deterministic_on_one_thread_and_a_large_one_shares_its_cells():
    tiny = plan_load(header(4, kind="Q8_0", n_ctx=2_048, layers=6, kv_heads=1), LoadWishes(), IDLE)
    assert (tiny.deterministic, tiny.context.kv_unified, tiny.context.flash_attention) == (True, False, True)
    assert (tiny.context.n_threads, tiny.context.n_ubatch) == (1, 48)
    assert tiny.context.n_ctx == tiny.n_ctx * tiny.context.n_seq_max
    large = plan_load(header(4_100), LoadWishes(), IDLE)
    assert (large.deterministic, large.context.kv_unified, large.context.flash_attention) == (
        False,
        True,
        None,
    )


def test_repacked_weights_are_read_and_others_are_mapped():
    assert plan_load(header(700, kind="Q4_K"), LoadWishes(), IDLE).model.use_mmap is False
    assert plan_load(header(700, kind="Q8_0"), LoadWishes(), IDLE).model.use_mmap is True
    assert plan_load(header(700, kind="Q4_K"), LoadWishes(repack=False), IDLE).model.use_mmap is True


def test_weights_are_left_as_in_the_file_where_that_was_measured_to_be_faster():
    amd = replace(IDLE, cpu_vendor="AuthenticAMD")
    assert plan_load(header(700, kind="Q4_K"), LoadWishes(), amd).model == ModelParams(
        n_gpu_layers=0, use_mmap=True, use_mlock=False, repack=False
    )
    assert plan_load(header(700, kind="Q4_0"), LoadWishes(), amd).model.repack is True
    assert plan_load(header(700, kind="Q4_K"), LoadWishes(repack=True), amd).model.repack is True
    assert plan_load(
        header(700, kind="Q4_K"), LoadWishes(), replace(IDLE, cpu_vendor="GenuineIntel")
    ).model.repack


def test_threads_are_physical_cores_and_one_fewer_on_a_busy_host():
    assert resolve_threads(Machine(8, 0.5, 0), tiny=False) == 8
    assert resolve_threads(Machine(8, 9.0, 0), tiny=False) == 7
    assert resolve_threads(Machine(1, 9.0, 0), tiny=False) == 1
    assert resolve_threads(Machine(8, 0.0, 0), tiny=True) == 1


def test_a_quantized_cache_takes_about_half():
    assert kv_cell_bytes(header(1), "f16") == 32 * 8 * 256 * 2
    assert kv_cell_bytes(header(1), "q8_0") == pytest.approx(kv_cell_bytes(header(1), "f16") * 34 / 64)


@pytest.mark.parametrize(
    "wishes", [{"n_ctx": -1}, {"n_ctx": 0}, {"n_seq_max": 0}, {"n_threads": -3}, {"n_gpu_layers": -9}]
)
def test_wishes_out_of_range_name_the_field(wishes):
    with pytest.raises(UsageError, match=next(iter(wishes))):
        plan_load(header(4), LoadWishes(**wishes), IDLE)


def test_the_estimate_for_the_embedded_model_is_of_the_right_size(tiny_path):
    plan = plan_load(read_header(tiny_path), LoadWishes(), IDLE)
    assert plan.total < 200 * MB


def test_a_machine_is_read_from_its_files(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    cgroup = tmp_path / "sys/fs/cgroup"
    cgroup.mkdir(parents=True)
    assert read_machine(tmp_path).available_bytes == 8_000 * 1024
    (cgroup / "memory.max").write_text("max\n")
    (cgroup / "memory.current").write_text("1000\n")
    assert read_machine(tmp_path).available_bytes == 8_000 * 1024
    (cgroup / "memory.max").write_text("5000\n")
    assert read_machine(tmp_path).available_bytes == 4_000
    assert read_machine(tmp_path).physical_cores >= 1
