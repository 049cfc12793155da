"""The network: a small Llama (RMSNorm, interleaved RoPE, SwiGLU, tied output) in plain PyTorch.

Shapes: token ids `[batch, time]` go in, hidden states after the last norm `[batch, time, width]` come out; `logits`
turns chosen hidden states into scores over the vocabulary. The module knows nothing of text, data or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network. `head_size` stays 64: below it llama.cpp's AVX512 kernels fall back to scalar code."""

    vocabulary: int = 2560
    width: int = 192
    layers: int = 6
    heads: int = 3
    feed_forward: int = 512
    head_size: int = 64
    rope_base: float = 10000.0
    norm_eps: float = 1e-5
    context: int = 2048


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learnt gain."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE over neighbouring pairs (ggml's `llama` order, not HF's split halves)."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Block(nn.Module):
    """One transformer layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        inner = shape.heads * shape.head_size
        self.heads, self.head_size = shape.heads, shape.head_size
        self.attn_norm = RmsNorm(shape.width, shape.norm_eps)
        self.ffn_norm = RmsNorm(shape.width, shape.norm_eps)
        self.q = nn.Linear(shape.width, inner, bias=False)
        self.k = nn.Linear(shape.width, inner, bias=False)
        self.v = nn.Linear(shape.width, inner, bias=False)
        self.o = nn.Linear(inner, shape.width, bias=False)
        self.gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, time, _ = x.shape
        y = self.attn_norm(x)
        q, k, v = (
            layer(y).view(batch, time, self.heads, self.head_size).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        z = functional.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True
        )
        x = x + self.o(z.transpose(1, 2).reshape(batch, time, -1))
        y = self.ffn_norm(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class TinyLlama(nn.Module):
    """The whole network; `forward` gives hidden states, `logits` scores them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RmsNorm(shape.width, shape.norm_eps)
        # Large embeddings keep a token's identity audible beside what the layers add; the small last gain keeps the
        # first scores small all the same. Layers begin silent.
        for name, parameter in self.named_parameters():
            if name.endswith(("o.weight", "down.weight")):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                nn.init.normal_(
                    parameter, std=0.5 if name.startswith("embedding") else 0.7 * parameter.shape[1] ** -0.5
                )
        nn.init.constant_(self.norm.weight, 0.1)
        pairs = torch.arange(0, shape.head_size, 2).float() / shape.head_size
        angle = torch.arange(shape.context).float()[:, None] * shape.rope_base**-pairs
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        time = ids.shape[1]
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos[:time], self.sin[:time])
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.embedding.weight.T

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())
