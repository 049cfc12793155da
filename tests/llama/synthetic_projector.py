"""A projector (mmproj) of the LLaVA or Gemma 3 kind with random weights, small enough to write in a test."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

import gguf

IMAGE_SIZE, PATCH_SIZE, WIDTH, FEED_FORWARD, HEADS, LAYERS = 32, 8, 32, 64, 2, 2
N_PATCHES = (IMAGE_SIZE // PATCH_SIZE) ** 2


def write_projector(path: Path, n_embd: int, kind: str = "mlp") -> Path:
    """``kind`` is mlp (rows are fed like tokens) or gemma3 (rows look at each other)."""
    chance = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", kind)
    writer.add_bool("clip.use_gelu", True)
    for name, value in {
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "block_count": LAYERS,
        "projection_dim": n_embd,
        "attention.head_count": HEADS,
        "projector.scale_factor": 1,
    }.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])

    def add(name: str, *shape: int) -> None:
        scale = 0.5 if len(shape) == 1 else shape[-1] ** -0.5
        writer.add_tensor(name, (chance.standard_normal(shape) * scale).astype(np.float32))

    add("v.patch_embd.weight", WIDTH, 3, PATCH_SIZE, PATCH_SIZE)
    add("v.patch_embd.bias", WIDTH)
    add("v.position_embd.weight", N_PATCHES, WIDTH)
    for norm in ("v.pre_ln", "v.post_ln"):
        add(f"{norm}.weight", WIDTH)
        add(f"{norm}.bias", WIDTH)
    for layer in range(LAYERS):
        block = f"v.blk.{layer}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            add(f"{block}{name}.weight", WIDTH, WIDTH)
            add(f"{block}{name}.bias", WIDTH)
        for name in ("ln1", "ln2"):
            add(f"{block}{name}.weight", WIDTH)
            add(f"{block}{name}.bias", WIDTH)
        add(f"{block}ffn_up.weight", FEED_FORWARD, WIDTH)
        add(f"{block}ffn_up.bias", FEED_FORWARD)
        add(f"{block}ffn_down.weight", WIDTH, FEED_FORWARD)
        add(f"{block}ffn_down.bias", WIDTH)
    if kind == "gemma3":
        add("mm.input_projection.weight", WIDTH, n_embd)
        add("mm.soft_emb_norm.weight", WIDTH)
    else:
        add("mm.0.weight", n_embd, WIDTH)
        add("mm.0.bias", n_embd)
        add("mm.2.weight", n_embd, n_embd)
        add("mm.2.bias", n_embd)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def png(red: int, green: int, blue: int, side: int = IMAGE_SIZE) -> bytes:
    """An image that fades from black to one colour."""
    lines = b"".join(
        b"\0" + bytes(value * (x + y) // (2 * side) for x in range(side) for value in (red, green, blue))
        for y in range(side)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )
