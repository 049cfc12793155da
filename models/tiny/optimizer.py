"""Muon for the matrices of the layers, AdamW for the rest, and an average of the weights over time.

Muon takes the momentum of a matrix and makes all its singular values equal before the step (four Newton-Schulz
rounds); on this small network it needs far fewer tokens than AdamW for the same loss. Knows nothing of the data.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def orthogonalised(stack: Tensor, rounds: int = 4) -> Tensor:
    """Newton-Schulz over `[count, rows, columns]`: the nearest (semi-)orthogonal matrices, roughly."""
    tall = stack.shape[1] > stack.shape[2]
    x = stack.transpose(1, 2) if tall else stack
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x


class Muon:
    """`parameters` are matrices; matrices of one shape are stepped together."""

    def __init__(
        self, parameters: list[nn.Parameter], momentum: float = 0.95, weight_decay: float = 0.02
    ) -> None:
        self.momentum, self.weight_decay = momentum, weight_decay
        groups: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            groups[tuple(parameter.shape)].append(parameter)
        self.groups = list(groups.values())
        self.buffers = [torch.zeros(len(group), *group[0].shape) for group in self.groups]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            gradient = torch.stack([parameter.grad for parameter in group])
            buffer.lerp_(gradient, 1 - self.momentum)
            update = orthogonalised(gradient.lerp(buffer, self.momentum))
            scale = max(1.0, group[0].shape[0] / group[0].shape[1]) ** 0.5
            for parameter, change in zip(group, update, strict=True):
                parameter.mul_(1 - rate * self.weight_decay).add_(change, alpha=-rate * scale)

    def state(self) -> list[Tensor]:
        return self.buffers

    def load_state(self, buffers: list[Tensor]) -> None:
        self.buffers = buffers


class Average:
    """An exponential average of the weights, with a decay that starts short."""

    def __init__(self, model: nn.Module, decay: float = 0.995) -> None:
        self.decay, self.steps = decay, 0
        self.weights: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in model.state_dict().items()
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in model.state_dict().items():
            self.weights[name].lerp_(value, 1 - decay)

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps, "weights": self.weights}

    def load_state(self, state: dict[str, Any]) -> None:
        self.steps, self.weights = state["steps"], state["weights"]
