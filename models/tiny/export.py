"""Write a checkpoint's averaged weights and the tokenizer as GGUF (Q8_0) for llama.cpp.

Knows nothing of training; the chat template is the file beside it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import tokenizer as bpe
import torch
from conversations import TEMPLATE_PATH

import gguf
from gguf import GGMLQuantizationType as Quantization

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "tiny"
EMBEDDED = ROOT / "src" / "the_edge_agent" / "store" / "embedded" / "tiny.gguf"
LARGEST_BYTES = 6 * 1024 * 1024
NAMES = {
    "attn_norm": "attn_norm",
    "ffn_norm": "ffn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def add_metadata(writer: gguf.GGUFWriter, shape: dict[str, Any]) -> None:
    writer.add_name("tea-tiny")
    writer.add_author("The Edge Agent")
    writer.add_license("Apache-2.0")
    writer.add_description(
        "A tiny demonstration chat model, trained from scratch on synthetic conversations."
    )
    writer.add_languages(["en"])
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["feed_forward"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["heads"])
    writer.add_rope_dimension_count(shape["head_size"])
    writer.add_rope_freq_base(shape["rope_base"])
    writer.add_layer_norm_rms_eps(shape["norm_eps"])
    writer.add_vocab_size(shape["vocabulary"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_tokenizer(writer: gguf.GGUFWriter, path: Path) -> None:
    model = json.loads(path.read_text())["model"]
    tokens = [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    ids = model["vocab"]

    def kind(token: str) -> gguf.TokenType:
        if token in bpe.CONTROL:
            return gguf.TokenType.CONTROL
        return gguf.TokenType.USER_DEFINED if token in bpe.TOOL_TAGS else gguf.TokenType.NORMAL

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([kind(token) for token in tokens])
    writer.add_token_merges(
        [" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]]
    )
    writer.add_bos_token_id(ids[bpe.END_OF_TEXT])
    writer.add_eos_token_id(ids[bpe.IM_END])
    writer.add_pad_token_id(ids[bpe.PAD])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE_PATH.read_text().rstrip("\n"))


def export(checkpoint: Path, vocabulary: Path, target: Path, *, averaged: bool = True) -> None:
    """Write `target`; raises `ValueError` if it is over 6 MB."""
    saved = torch.load(checkpoint, weights_only=True)
    weights = saved["average"]["weights"] if averaged else saved["model"]
    writer = gguf.GGUFWriter(target, "llama")
    add_metadata(writer, saved["shape"])
    add_tokenizer(writer, vocabulary)

    def add(name: str, source: str) -> None:
        value: np.ndarray = weights[source].float().numpy()
        if value.ndim == 1:
            writer.add_tensor(name, value)
        else:
            writer.add_tensor(
                name, gguf.quants.quantize(value, Quantization.Q8_0), raw_dtype=Quantization.Q8_0
            )

    add("token_embd.weight", "embedding.weight")
    add("output_norm.weight", "norm.weight")
    for layer in range(saved["shape"]["layers"]):
        for source, name in NAMES.items():
            add(f"blk.{layer}.{name}.weight", f"blocks.{layer}.{source}.weight")
    target.parent.mkdir(parents=True, exist_ok=True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    size_bytes = target.stat().st_size
    if size_bytes > LARGEST_BYTES:
        raise ValueError(f"{target}: {size_bytes} bytes, over {LARGEST_BYTES}; make the network smaller")
    print(f"{target}: {size_bytes / 1e6:.2f} MB, step {saved['step']}, {saved['tokens'] / 1e6:.2f}M tokens")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=BUILD / "checkpoint.pt")
    parser.add_argument("--tokenizer", type=Path, default=BUILD / "tokenizer.json")
    parser.add_argument("--target", type=Path, default=EMBEDDED)
    parser.add_argument("--raw", action="store_true", help="the last weights in place of the averaged ones")
    options = parser.parse_args()
    export(options.checkpoint, options.tokenizer, options.target, averaged=not options.raw)


if __name__ == "__main__":
    main()
