"""How a model is loaded and how a context is laid out: frozen, validated values. Nothing here touches C.

Every number is checked before libllama sees it: it asserts, and an assert ends the process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from the_edge_agent.errors import UsageError

KvType: TypeAlias = Literal["f32", "f16", "q8_0", "q4_0"]
Pooling: TypeAlias = Literal["model", "mean", "cls", "last"]

MAX_CONTEXT = 16_777_216
MAX_BATCH = 65_536
MAX_SEQUENCES = 256
MAX_THREADS = 512
MAX_LAYERS = 100_000


@dataclass(frozen=True, slots=True)
class ModelParams:
    """How weights come into memory.

    ``n_gpu_layers`` -1 puts all layers on the GPU, 0 none. ``use_mmap`` None lets ``repack`` decide: repacked weights
    are a second copy, so mapping the file as well would hold both. Raises UsageError naming the field.
    """

    n_gpu_layers: int = 0
    use_mmap: bool | None = None
    use_mlock: bool = False
    repack: bool = True
    vocab_only: bool = False

    def __post_init__(self) -> None:
        check_range("n_gpu_layers", self.n_gpu_layers, -1, MAX_LAYERS)


@dataclass(frozen=True, slots=True)
class ContextParams:
    """A KV cache of ``n_ctx`` cells shared by up to ``n_seq_max`` sequences, and how to compute on it.

    ``n_batch`` tokens fit into one decode, ``n_ubatch`` into one pass over the weights, and ``n_outputs`` of a pass may
    give logits (at least ``n_seq_max``; libllama ends the process over one too many). ``flash_attention`` None lets
    libllama choose. ``pooling`` makes it a context for embeddings. Raises UsageError naming the field.
    """

    n_ctx: int
    n_seq_max: int = 1
    n_batch: int = 512
    n_ubatch: int = 512
    n_threads: int = 1
    n_threads_batch: int | None = None
    kv_type: KvType = "f16"
    flash_attention: bool | None = None
    kv_unified: bool = True
    offload_kv: bool = True
    pooling: Pooling | None = None
    n_outputs: int = 32

    def __post_init__(self) -> None:
        check_range("n_outputs", self.n_outputs, 1, MAX_BATCH)
        check_range("n_ctx", self.n_ctx, 1, MAX_CONTEXT)
        check_range("n_seq_max", self.n_seq_max, 1, MAX_SEQUENCES)
        check_range("n_batch", self.n_batch, 1, MAX_BATCH)
        check_range("n_ubatch", self.n_ubatch, 1, self.n_batch)
        check_range("n_threads", self.n_threads, 1, MAX_THREADS)
        if self.n_threads_batch is not None:
            check_range("n_threads_batch", self.n_threads_batch, 1, MAX_THREADS)
        check_kv_type(self.kv_type)
        if self.kv_type in QUANTIZED_KV_TYPES and self.flash_attention is False:
            raise UsageError(
                f"kv_type {self.kv_type} needs flash attention", fix="leave flash_attention unset, or use f16"
            )


#: ggml's numbers for the types a KV cache may have, and bytes an element.
KV_TYPES: dict[KvType, int] = {"f32": 0, "f16": 1, "q8_0": 8, "q4_0": 2}
KV_TYPE_BYTES: dict[KvType, float] = {"f32": 4.0, "f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
QUANTIZED_KV_TYPES: frozenset[KvType] = frozenset({"q8_0", "q4_0"})


def check_kv_type(kv_type: str) -> None:
    """Raise UsageError for a type that a KV cache can't have."""
    if kv_type not in KV_TYPES:
        raise UsageError(f"kv_type is {kv_type!r}", fix=f"give one of {', '.join(KV_TYPES)}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise UsageError unless ``low <= value <= high``; NaN is outside every range."""
    if isinstance(value, bool) or math.isnan(value) or not low <= value <= high:
        raise UsageError(f"{name} is {value}", fix=f"give a number from {low:g} to {high:g}")
