"""Random quantized tensors: every byte random but the scales, which are set so that weights have a sane size.

Scales get random signs, so that the mean vanishes. Divisors are the standard deviations of the random integers.
Knows nothing of models.
"""

from __future__ import annotations

import numpy as np

import gguf
from gguf import GGMLQuantizationType as Quant

_SCALE_6BIT = 32
_SCALE_8BIT = 64


def quantized(shape: tuple[int, ...], kind: Quant, std: float, seed: int = 0) -> np.ndarray:
    """A tensor of ``shape`` (rows, columns) as the bytes that GGUF stores, with weights of about ``std``; equal seeds
    give equal tensors.
    """
    if kind == Quant.F32:
        return np.ones(shape, np.float32)
    per_block, size = gguf.GGML_QUANT_SIZES[kind]
    n_blocks = int(np.prod(shape)) // per_block
    n_words = (n_blocks * size + 7) // 8
    chance = np.random.Generator(np.random.SFC64(seed))
    words = chance.integers(0, 2**64, size=n_words, dtype=np.uint64)
    blocks = words.view(np.uint8)[: n_blocks * size].reshape(n_blocks, size)
    _SET_SCALES[kind](blocks, std, chance)
    return blocks.reshape(*shape[:-1], shape[-1] // per_block * size)


def _signed(count: int, value: float, chance: np.random.Generator) -> np.ndarray:
    negative = chance.integers(0, 2, size=count, dtype=np.uint8).astype(bool)
    return np.where(negative, np.float16(-value), np.float16(value)).astype(np.float16)


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return values.view(np.uint8).reshape(len(values), 2)


def _q8_0(blocks: np.ndarray, std: float, chance: np.random.Generator) -> None:
    blocks[:, 0:2] = _as_bytes(_signed(len(blocks), std / 74, chance))


def _q4_0(blocks: np.ndarray, std: float, chance: np.random.Generator) -> None:
    blocks[:, 0:2] = _as_bytes(_signed(len(blocks), std / 4.61, chance))


def _q4_k(blocks: np.ndarray, std: float, chance: np.random.Generator) -> None:
    scale = _signed(len(blocks), std / 4.61 / _SCALE_6BIT, chance)
    blocks[:, 0:2] = _as_bytes(scale)
    blocks[:, 2:4] = _as_bytes(
        (scale.astype(np.float32) * 7.5).astype(np.float16)
    )  # cancels the mean of 0..15
    blocks[:, 4:12] = _SCALE_6BIT | (2 << 6)  # eight 6-bit scales and minimums of 32, packed
    blocks[:, 12:16] = 0


def _q6_k(blocks: np.ndarray, std: float, chance: np.random.Generator) -> None:
    blocks[:, 192:208] = _SCALE_8BIT
    blocks[:, 208:210] = _as_bytes(_signed(len(blocks), std / 18.47 / _SCALE_8BIT, chance))


_SET_SCALES = {Quant.Q8_0: _q8_0, Quant.Q4_0: _q4_0, Quant.Q4_K: _q4_k, Quant.Q6_K: _q6_k}
