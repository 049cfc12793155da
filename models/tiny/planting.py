"""Starting weights that can copy: a head that looks one token back, and one that goes on where a token stood before.

Learning to copy unseen strings is the slowest part of training a small network from nothing: until two layers have found
each other, nothing that needs copying improves. So the pair is planted by hand and training only refines it. The residual
stream is divided: one constant channel, channels for the token itself, one for the space before it, and channels for the
token before it. A piece and its twin with a space share the token's channels, so that one is copied to the other. Knows nothing of data.
"""

from __future__ import annotations

import math

import torch
from model import TinyLlama
from torch import Tensor

CONSTANT = 0
TOKEN = slice(1, 127)
SPACED = 127
BEFORE = slice(128, 192)
CONSTANT_SIZE, TOKEN_STD, BEFORE_STD, SPACED_SIZE = 2.0, 0.6, 0.02, 1.0
#: Rotary pairs that turn fast tell neighbours apart; slow ones leave a match of content alone at a distance.
FAST_PAIRS, SLOW_FROM = 6, 16
LOOK_BACK_SHARPNESS, MATCH_SHARPNESS, COPY_GAIN = 1.5, 2.0, 1.5


def _orthonormal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.linalg.qr(torch.randn(columns, rows, generator=generator)).Q.T


@torch.no_grad()
def plant(model: TinyLlama, twins: list[tuple[int, int]], seed: int = 0) -> None:
    """Rewrite the embedding, head 0 of layer 0 and head 0 of layer 1, in place.

    `twins` are pairs of token ids: a piece with a space before it, and the same piece without.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = model.shape
    size = shape.head_size
    weight = model.embedding.weight
    weight[:, CONSTANT] = CONSTANT_SIZE
    weight[:, TOKEN] = torch.randn(weight[:, TOKEN].shape, generator=generator) * TOKEN_STD
    weight[:, BEFORE] = torch.randn(weight[:, BEFORE].shape, generator=generator) * BEFORE_STD
    weight[:, SPACED] = 0
    for spaced, bare in twins:
        weight[spaced] = weight[bare]
        weight[spaced, SPACED], weight[bare, SPACED] = SPACED_SIZE, -SPACED_SIZE
    speeds = shape.rope_base ** (-torch.arange(0, size, 2).float() / size)
    token = _orthonormal(size, TOKEN.stop - TOKEN.start, generator)
    copied = _orthonormal(size, TOKEN.stop - TOKEN.start, generator)

    look_back = model.blocks[0]
    for layer in (look_back.q, look_back.k, look_back.v):
        layer.weight[:size] = 0
    for pair in range(FAST_PAIRS):
        angle = float(speeds[pair])
        look_back.q.weight[2 * pair, CONSTANT] = LOOK_BACK_SHARPNESS
        look_back.k.weight[2 * pair, CONSTANT] = LOOK_BACK_SHARPNESS * math.cos(angle)
        look_back.k.weight[2 * pair + 1, CONSTANT] = LOOK_BACK_SHARPNESS * math.sin(angle)
    look_back.v.weight[:size, TOKEN] = token
    look_back.o.weight[BEFORE, :size] = torch.eye(size) * 0.7

    match = model.blocks[1]
    for layer in (match.q, match.k, match.v):
        layer.weight[:size] = 0
    for row in range(2 * SLOW_FROM, size):
        match.q.weight[row, TOKEN] = MATCH_SHARPNESS * token[row]
        match.k.weight[row, BEFORE.start + row] = MATCH_SHARPNESS
    match.v.weight[:size, TOKEN] = copied
    match.o.weight[TOKEN, :size] = COPY_GAIN * copied.T
