"""How much memory a model needs at a context length, before anything is loaded. Arithmetic over its header.

Weights are exact. The KV cache follows llama.cpp's own layout, sliding windows included. The compute buffer is an
estimate from the shapes that dominate it. Knows nothing of llama.cpp's library.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from the_edge_agent.gguf import GgufHeader

DEFAULT_UBATCH = 512
#: Every how many layers one sees the whole context, for architectures whose files don't say.
_WINDOW_PATTERNS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4}
_F16_BYTES, _F32_BYTES = 2, 4
#: Left for everybody else when it is said what would fit.
_HEADROOM = 0.9


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes. ``largest_n_ctx`` is the longest context that fits, 0 where even the shortest doesn't."""

    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    n_ctx: int
    trained_n_ctx: int
    available_bytes: int
    largest_n_ctx: int

    @property
    def total_bytes(self) -> int:
        """All that loading needs."""
        return self.weights_bytes + self.kv_bytes + self.compute_bytes

    @property
    def fits(self) -> bool:
        """Whether this machine has so much, with a tenth to spare."""
        return self.total_bytes <= self.available_bytes * _HEADROOM


def plan_memory(
    header: GgufHeader,
    n_ctx: int,
    available_bytes: int,
    *,
    weights_bytes: int | None = None,
    n_ubatch: int = DEFAULT_UBATCH,
) -> MemoryPlan:
    """The plan for one sequence of ``n_ctx`` tokens. ``weights_bytes`` sums the shards of a split model."""
    weights = header.weights_bytes if weights_bytes is None else weights_bytes
    trained = header.context_length or n_ctx

    def total(context: int) -> int:
        return weights + kv_bytes(header, context, n_ubatch) + compute_bytes(header, context, n_ubatch)

    largest = 0
    low, high = 1, max(trained // 256, 1)
    while low <= high:
        middle = (low + high) // 2
        if total(middle * 256) <= available_bytes * _HEADROOM:
            largest, low = middle * 256, middle + 1
        else:
            high = middle - 1
    return MemoryPlan(
        weights_bytes=weights,
        kv_bytes=kv_bytes(header, n_ctx, n_ubatch),
        compute_bytes=compute_bytes(header, n_ctx, n_ubatch),
        n_ctx=n_ctx,
        trained_n_ctx=header.context_length,
        available_bytes=available_bytes,
        largest_n_ctx=min(largest, trained),
    )


def kv_bytes(header: GgufHeader, n_ctx: int, n_ubatch: int = DEFAULT_UBATCH) -> int:
    """Keys and values of all layers in 16 bits, layers with a sliding window only as long as their window."""
    layers = header.hyperparameter("block_count")
    heads = header.hyperparameter("attention.head_count", 1)
    kv_heads = header.hyperparameter("attention.head_count_kv", heads)
    width = header.hyperparameter("embedding_length") // max(heads, 1)
    key = header.hyperparameter("attention.key_length", width)
    value = header.hyperparameter("attention.value_length", width)
    per_token = kv_heads * (key + value) * _F16_BYTES
    window = header.hyperparameter("attention.sliding_window")
    pattern = _WINDOW_PATTERNS.get(header.architecture, 0)
    n_ctx = _padded(n_ctx)
    if not window or not pattern:
        return layers * n_ctx * per_token
    whole = layers // pattern
    short = min(_padded(window + n_ubatch), n_ctx)
    return (whole * n_ctx + (layers - whole) * short) * per_token


def compute_bytes(header: GgufHeader, n_ctx: int, n_ubatch: int = DEFAULT_UBATCH) -> int:
    """The scratch buffer: logits of a batch, the widest layer, the attention mask."""
    tokens = min(n_ubatch, n_ctx)
    width = header.hyperparameter("embedding_length")
    widest = 2 * header.hyperparameter("feed_forward_length") + 4 * width
    per_token = max(header.vocabulary_size + width, widest) * _F32_BYTES
    return tokens * per_token + tokens * _padded(n_ctx) * _F32_BYTES


def available_memory_bytes() -> int:
    """What this machine, or the container we are in, can still give; 0 where the system doesn't tell."""
    candidates: list[int] = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        candidates.append(int(facts["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError, IndexError):
        candidates.append(0)
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        candidates.append(max(limit - used, 0))
    except (OSError, ValueError):
        pass
    return min(candidates)


def _padded(tokens: int) -> int:
    return -(-tokens // 256) * 256
