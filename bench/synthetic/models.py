"""The shapes of models that people run, and their files with random weights. Kept outside the tree, made once.

Tensors of one name are alike in all files, so a file with fewer layers is the beginning of a larger one.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from bench.synthetic.blocks import quantized
from bench.synthetic.vocabulary import add_vocabulary

import gguf
from gguf import GGMLQuantizationType as Quant
from gguf import LlamaFileType

_VERSION = 2
_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """A transformer's dimensions and how llama.cpp quantizes it."""

    architecture: str
    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    n_ctx: int
    file_type: LlamaFileType
    sliding_window: int = 0
    part_of: int = 0
    """Layers of the model that this is the beginning of."""
    quiet_from: int = 10_000
    """Layers from this one on add little to what the earlier ones say."""
    seed: int = 0

    def quant(self, part: str, layer: int = 0) -> Quant:
        """The type of a tensor; Q4_K_M keeps some layers' value and down projections finer, as llama.cpp does."""
        if self.file_type == LlamaFileType.MOSTLY_Q8_0:
            return Quant.Q8_0
        if self.file_type == LlamaFileType.MOSTLY_Q4_0:
            return Quant.Q6_K if part == "output" else Quant.Q4_0
        eighth = (self.part_of or self.layers) // 8
        finer = layer < eighth or layer >= 7 * eighth or (layer - eighth) % 3 == 2
        return Quant.Q6_K if part == "output" or (part in ("v", "down") and finer) else Quant.Q4_K


_TINYLLAMA = Shape("llama", 22, 2048, 5632, 32, 4, 64, 32_000, 2_048, LlamaFileType.MOSTLY_Q4_K_M)
SHAPES = {
    "tinyllama-1.1b-q4_k_m": _TINYLLAMA,
    # A model with a draft that mostly agrees, and one that doesn't: the best and the worst case of speculation.
    "tinyllama-1.1b-quiet": replace(_TINYLLAMA, quiet_from=2),
    "tinyllama-draft": replace(_TINYLLAMA, layers=2, part_of=22),
    "tinyllama-draft-other": replace(_TINYLLAMA, layers=2, part_of=22, seed=1),
    "gemma-3-1b-q8_0": Shape(
        "gemma3", 26, 1152, 6912, 4, 1, 256, 262_144, 32_768, LlamaFileType.MOSTLY_Q8_0, sliding_window=512
    ),
    "mistral-7b-q4_0": Shape(
        "llama", 32, 4096, 14_336, 32, 8, 128, 32_000, 32_768, LlamaFileType.MOSTLY_Q4_0
    ),
}


def synthetic_model(name: str) -> Path:
    """The file of a shape; written on first use, whole or not at all."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "the-edge-agent" / "bench" / f"{name}-v{_VERSION}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}.part")
        try:
            _write(name, SHAPES[name], scratch)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
    return path


def _write(name: str, shape: Shape, path: Path) -> None:
    writer = gguf.GGUFWriter(path, shape.architecture, use_temp_file=False)
    writer.add_name(f"synthetic {name}")
    writer.add_context_length(shape.n_ctx)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(shape.file_type)
    if shape.architecture == "llama":
        writer.add_rope_dimension_count(shape.head_size)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(10_000.0)
    else:
        writer.add_layer_norm_rms_eps(1e-6)
        writer.add_rope_freq_base(1_000_000.0)
        writer.add_sliding_window(shape.sliding_window)
    add_vocabulary(writer, shape.vocabulary)
    writer.add_chat_template(_TEMPLATE)
    _add_tensors(writer, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tensors(writer: gguf.GGUFWriter, shape: Shape) -> None:
    def weights(  # noqa: PLR0917
        name: str, rows: int, columns: int, part: str, layer: int = 0, std: float = 0.0
    ) -> None:
        kind = shape.quant(part, layer)
        quiet = 0.01 if part in ("o", "down") and layer >= shape.quiet_from else 1.0
        seed = zlib.crc32(name.encode()) + shape.seed
        blocks = quantized((rows, columns), kind, (std or columns**-0.5) * quiet, seed)
        writer.add_tensor(name, blocks, raw_dtype=kind)

    def norm(name: str, size: int) -> None:
        writer.add_tensor(name, quantized((size,), Quant.F32, 1.0))

    width, gemma = shape.width, shape.architecture == "gemma3"
    weights(
        "token_embd.weight",
        shape.vocabulary,
        width,
        "output" if gemma else "embedding",
        std=0.0 if gemma else 1.0,
    )
    norm("output_norm.weight", width)
    if not gemma:
        weights("output.weight", shape.vocabulary, width, "output")
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        attention, kv = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        norms = ["attn_norm", "ffn_norm", *(("post_attention_norm", "post_ffw_norm") if gemma else ())]
        for name in norms:
            norm(f"{block}{name}.weight", width)
        for name in ("attn_q_norm", "attn_k_norm") if gemma else ():
            norm(f"{block}{name}.weight", shape.head_size)
        weights(f"{block}attn_q.weight", attention, width, "q", layer)
        weights(f"{block}attn_k.weight", kv, width, "k", layer)
        weights(f"{block}attn_v.weight", kv, width, "v", layer)
        weights(f"{block}attn_output.weight", width, attention, "o", layer)
        weights(f"{block}ffn_gate.weight", shape.feed_forward, width, "gate", layer)
        weights(f"{block}ffn_up.weight", shape.feed_forward, width, "up", layer)
        weights(f"{block}ffn_down.weight", width, shape.feed_forward, "down", layer)
