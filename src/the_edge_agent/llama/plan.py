"""Decides how a model is put into memory, before anything is loaded: context, cells, threads, mapping, kernels.

Pure: a GGUF header, the caller's wishes and the machine's figures give a ``LoadPlan`` or OutOfMemory. The rules were
measured (docs/inference.md); each can be overridden. Knows nothing of libllama's structs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from the_edge_agent.errors import OutOfMemory
from the_edge_agent.gguf import GgufHeader
from the_edge_agent.llama.machine import Machine
from the_edge_agent.llama.params import (
    KV_TYPE_BYTES,
    MAX_CONTEXT,
    QUANTIZED_KV_TYPES,
    ContextParams,
    KvType,
    ModelParams,
    check_kv_type,
    check_range,
)

Bytes: TypeAlias = int

MiB = 1 << 20
#: A context nobody asked for isn't larger than this, whatever the model was trained for.
UNASKED_N_CTX = 8_192
FALLBACK_N_CTX = 2_048
MIN_N_CTX = 256
#: Below this a model is tiny: one thread is fastest, and answers that don't depend on neighbours cost nothing.
TINY_BYTES = 64 * MiB
#: KV cache that is taken unasked: this much, or an eighth of the weights if that is more.
UNASKED_KV_BYTES = 256 * MiB
RESERVE_BYTES = 128 * MiB
CELL_ROUNDING = 256
#: Flash attention on a CPU takes another road from 64 rows on, with other rounding; and with several threads it sums in
#: parts. Below that, on one thread, it adds up a sequence's cells in their order, whatever else is computed.
EXACT_UBATCH = 48
#: Tensor types with kernels on interleaved rows; they are worth a private copy of the weights.
REPACKED_TYPES = frozenset({"Q4_0", "Q4_K", "Q2_K", "IQ4_NL", "MXFP4"})
#: On AMD's Zen a prompt of Q4_K weights takes half as long again when they are interleaved, an answer takes as long. On
#: Intel's Cascade Lake interleaving them doubles the speed.
BETTER_AS_IN_FILE = {"AuthenticAMD": frozenset({"Q4_K"})}


@dataclass(frozen=True, slots=True)
class LoadWishes:
    """What the caller wants; None leaves it to the rules."""

    n_ctx: int | None = None
    n_seq_max: int | None = None
    n_threads: int | None = None
    n_gpu_layers: int = 0
    deterministic: bool | None = None
    kv_type: KvType | None = None
    flash_attention: bool | None = None
    use_mmap: bool | None = None
    use_mlock: bool = False
    repack: bool | None = None
    n_batch: int | None = None
    cache_cells: int | None = None


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How to load; the sizes are what it is expected to take. ``n_ctx`` is what one sequence may have,
    ``context.n_ctx`` the cells that all share.
    """

    model: ModelParams
    context: ContextParams
    n_ctx: int
    cache_cells: int
    deterministic: bool
    weights: Bytes
    kv: Bytes
    compute: Bytes

    @property
    def total(self) -> Bytes:
        """Weights, KV cache and buffers."""
        return self.weights + self.kv + self.compute

    def __str__(self) -> str:
        return (
            f"weights {_mb(self.weights)}, KV {_mb(self.kv)} ({self.context.n_ctx} cells, {self.context.kv_type}), "
            f"compute {_mb(self.compute)}, total {_mb(self.total)}; n_ctx {self.n_ctx}, "
            f"{self.context.n_seq_max} sequences, {self.context.n_threads} threads"
        )


def plan_load(header: GgufHeader, wishes: LoadWishes, machine: Machine) -> LoadPlan:
    """Choose. Raises OutOfMemory with both figures, UsageError for a wish that is out of range."""
    weights = header.weights_bytes * max(1, header.split_count)
    tiny = weights <= TINY_BYTES
    deterministic = tiny if wishes.deterministic is None else wishes.deterministic
    kv_type: KvType = wishes.kv_type or "f16"
    check_kv_type(kv_type)
    n_threads = resolve_threads(machine, tiny=tiny) if wishes.n_threads is None else wishes.n_threads
    flash = n_threads == 1 or kv_type in QUANTIZED_KV_TYPES if deterministic else wishes.flash_attention
    n_seq_max = (4 if deterministic else 16) if wishes.n_seq_max is None else wishes.n_seq_max
    check_range("n_seq_max", n_seq_max, 1, 256)
    cell = kv_cell_bytes(header, kv_type)
    room = machine.available_bytes - weights - RESERVE_BYTES if machine.available_bytes else 0
    n_batch = 512 if wishes.n_batch is None else wishes.n_batch
    check_range("n_batch", n_batch, 1, 65_536)
    if wishes.cache_cells is not None:
        check_range("cache_cells", wishes.cache_cells, 0, MAX_CONTEXT)
    compute = compute_bytes(
        header, n_batch, wishes.n_ctx or FALLBACK_N_CTX, n_seq_max, flash=flash is not False
    )
    budget = _unasked_cells(cell, weights, room - compute)
    n_ctx = _resolve_n_ctx(header, wishes, budget // n_seq_max if deterministic else budget)
    shared = _round_up(max(n_ctx, min(2 * n_ctx, budget)))
    # Deterministic: a cache each, so that no neighbour's cells are in the sums.
    cells = _round_up(n_ctx) * n_seq_max if deterministic else shared
    repack = _resolve_repack(header, wishes, machine)
    plan = LoadPlan(
        model=ModelParams(
            n_gpu_layers=wishes.n_gpu_layers,
            use_mmap=_resolve_mmap(header, wishes, repack=repack),
            use_mlock=wishes.use_mlock,
            repack=repack,
        ),
        context=ContextParams(
            n_ctx=cells,
            n_seq_max=n_seq_max,
            n_batch=n_batch,
            n_ubatch=min(n_batch, EXACT_UBATCH) if deterministic else n_batch,
            n_threads=n_threads,
            kv_type=kv_type,
            flash_attention=flash,
            kv_unified=not deterministic,
        ),
        n_ctx=n_ctx,
        cache_cells=wishes.cache_cells if wishes.cache_cells is not None else min(n_ctx, 2_048),
        deterministic=deterministic,
        weights=weights,
        kv=cells * cell,
        compute=compute,
    )
    if machine.available_bytes and plan.total > machine.available_bytes:
        raise OutOfMemory(
            f"{plan}; {_mb(machine.available_bytes)} are free",
            fix=f"lower n_ctx (now {n_ctx}) or n_seq_max (now {n_seq_max}), set kv_type: q8_0, or take a smaller model",
        )
    return plan


def kv_cell_bytes(header: GgufHeader, kv_type: KvType) -> int:
    """Bytes that one position takes in the KV cache over all layers."""
    heads = header.hyperparameter("attention.head_count", 1) or 1
    kv_heads = header.hyperparameter("attention.head_count_kv", heads)
    head_size = header.hyperparameter("embedding_length") // heads
    key = header.hyperparameter("attention.key_length", head_size)
    value = header.hyperparameter("attention.value_length", head_size)
    return int(header.hyperparameter("block_count") * kv_heads * (key + value) * KV_TYPE_BYTES[kv_type])


def compute_bytes(header: GgufHeader, n_ubatch: int, n_ctx: int, n_seq_max: int, *, flash: bool) -> int:
    """A rough upper estimate of libllama's buffers: activations of one pass, attention scores, logits."""
    width = header.hyperparameter("embedding_length") * 4 + header.hyperparameter("feed_forward_length") * 3
    scores = 0 if flash else header.hyperparameter("attention.head_count", 1) * n_ctx * 2
    logits = max(32, n_seq_max) * header.vocabulary_size
    return 4 * (n_ubatch * (width + scores) + logits) + 16 * MiB


def resolve_threads(machine: Machine, *, tiny: bool) -> int:
    """One for a tiny model; else physical cores, one fewer where others keep them busy: threads wait for each other
    spinning, and one that isn't running stops them all.
    """
    if tiny:
        return 1
    busy = machine.load >= machine.physical_cores
    return max(1, machine.physical_cores - (1 if busy and machine.physical_cores > 1 else 0))


def _unasked_cells(cell: int, weights: int, room: int) -> int:
    """Cells of a KV cache that nobody asked for: a bounded share of the weights, and of the memory that is left."""
    budget = max(UNASKED_KV_BYTES, weights // 8)
    if room > 0:
        budget = min(budget, room)
    return max(MIN_N_CTX, budget // max(1, cell) // CELL_ROUNDING * CELL_ROUNDING)


def _resolve_n_ctx(header: GgufHeader, wishes: LoadWishes, cells: int) -> int:
    """A wish is a wish. Unasked: what the file says, but never a huge one, and no more than memory holds."""
    if wishes.n_ctx is not None:
        check_range("n_ctx", wishes.n_ctx, 8, 16_777_216)
        return wishes.n_ctx
    return max(MIN_N_CTX, min(header.context_length or FALLBACK_N_CTX, UNASKED_N_CTX, cells))


def _resolve_repack(header: GgufHeader, wishes: LoadWishes, machine: Machine) -> bool:
    if wishes.repack is not None:
        return wishes.repack
    return (
        _bytes_of(header, BETTER_AS_IN_FILE.get(machine.cpu_vendor, frozenset())) * 2 < header.weights_bytes
    )


def _bytes_of(header: GgufHeader, types: frozenset[str]) -> int:
    return sum(tensor.size_bytes for tensor in header.tensors if tensor.type.upper() in types)


def _resolve_mmap(header: GgufHeader, wishes: LoadWishes, *, repack: bool) -> bool | None:
    """Mapping is free and shared between processes, but repacked weights are a copy: then read the file, not both."""
    if wishes.use_mmap is not None:
        return wishes.use_mmap
    return not repack or _bytes_of(header, REPACKED_TYPES) * 2 < header.weights_bytes


def _round_up(cells: int) -> int:
    return -(-cells // CELL_ROUNDING) * CELL_ROUNDING


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
