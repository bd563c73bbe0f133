"""Muon for the matrices inside layers, Adam for embeddings, the head and norms.

Muon (kellerjordan.github.io/posts/muon) descends along the momentum with all its singular
values made equal, by a Newton-Schulz iteration. It is written out here, in float32 and
batched over matrices of one shape, because the ready one computes in bfloat16, which
processors without such instructions do twenty times slower.
"""

import torch
from torch import Tensor

from model import Llama

MATRIX_RATE, OTHER_RATE = 0.02, 3e-3
MOMENTUM, WEIGHT_DECAY = 0.95, 0.02
_A, _B, _C = 3.4445, -4.7750, 2.0315  # of the polynomial that drives singular values to one


def equalized(matrices: Tensor) -> Tensor:
    """[n, rows, cols] with singular values near one."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Muon:
    def __init__(self, parameters: list[Tensor]) -> None:
        self.groups: list[list[Tensor]] = []
        for shape in sorted({tuple(p.shape) for p in parameters}):
            self.groups.append([p for p in parameters if p.shape == shape])
        self.momenta = [torch.zeros_like(torch.stack(list(group))) for group in self.groups]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for group, momentum in zip(self.groups, self.momenta, strict=True):
            gradient = torch.stack([p.grad for p in group])
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = equalized(gradient.lerp(momentum, MOMENTUM))
            scale = rate * max(1.0, group[0].shape[0] / group[0].shape[1]) ** 0.5
            for p, u in zip(group, update, strict=True):
                p.mul_(1 - rate * WEIGHT_DECAY).sub_(scale * u)
                p.grad = None


class Optimizer:
    def __init__(self, model: Llama) -> None:
        named = list(model.named_parameters())
        inner = [p for n, p in named if p.ndim == 2 and n.startswith("layers.")]
        rest = [p for n, p in named if p.ndim == 1 or not n.startswith("layers.")]
        self.muon = Muon(inner)
        self.adam = torch.optim.AdamW(rest, lr=0, betas=(0.9, 0.95), weight_decay=0.0, fused=True)

    def step(self, scale: float) -> None:
        """scale: of the rates, 1 at the height of the schedule."""
        self.muon.step(MATRIX_RATE * scale)
        for group in self.adam.param_groups:
            group["lr"] = OTHER_RATE * scale
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def state(self) -> dict:
        return {"momenta": self.muon.momenta, "adam": self.adam.state_dict()}

    def load(self, state: dict) -> None:
        for mine, stored in zip(self.muon.momenta, state["momenta"], strict=True):
            mine.copy_(stored)
        self.adam.load_state_dict(state["adam"])
