"""Muon for the matrices inside layers, Adam for embeddings and norms.

Muon (kellerjordan.github.io/posts/muon) descends along the momentum with all its singular
values made equal, by a Newton-Schulz iteration. It is written out here, in float32 and
batched over matrices of one shape, because the ready one computes in bfloat16, which
processors without such instructions do many times slower.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model import Llama
from seeds import STORE

MATRIX_RATE, NORM_RATE = 0.003, 3e-3
OUTPUT_RATE, EMBEDDING_RATE = 2e-3, 1e-3
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


@dataclass(frozen=True)
class Factors:
    """Of step sizes, by part of the network and layer; 0 leaves a part as it is.

    Muon's steps have one size in all directions, however small the gradient is there: what starts
    well (seeds.py) has to rest or go slower than what starts from nothing, or it is gone before
    it was of use.
    """

    look: tuple[float, ...]  # Q and K
    carry: tuple[float, ...]  # V and the output of attention
    ffn: tuple[float, ...]
    norms: tuple[float, ...]  # before attention
    embed: float = 0.0
    output: float = 1.0  # with the last norm

    def of(self, name: str) -> float:
        part, *rest = name.split(".")
        if part == "embed":
            return self.embed
        if part != "layers":
            return self.output
        layer, kind = int(rest[0]), rest[1]
        if kind.startswith("ffn"):
            return self.ffn[layer]
        if kind == "attn_norm":
            return self.norms[layer]
        return self.look[layer] if rest[2] in ("q", "k") else self.carry[layer]


def rest(name: str, update: Tensor) -> None:
    """Keeps parts of layer 2 as they are: the heads that gather the topic, and whatever else of the
    stream than STORE the others could write into (seeds.py)."""
    if name.startswith("layers.2.attn."):
        if ".out." in name:
            update[:, : update.shape[1] // 2] = 0
            update[: STORE.start] = 0
        else:
            update[: update.shape[0] // 2] = 0


class Muon:
    def __init__(self, parameters: dict[str, Tensor]) -> None:
        self.names: list[list[str]] = []
        self.groups: list[list[Tensor]] = []
        for shape in sorted({tuple(p.shape) for p in parameters.values()}):
            self.names.append([n for n, p in parameters.items() if p.shape == shape])
            self.groups.append([parameters[n] for n in self.names[-1]])
        self.momenta = [torch.zeros_like(torch.stack(list(group))) for group in self.groups]

    @torch.no_grad()
    def step(self, rate: float, factors: Factors) -> None:
        for names, group, momentum in zip(self.names, self.groups, self.momenta, strict=True):
            found = [torch.zeros_like(p) if p.grad is None else p.grad for p in group]
            gradient = torch.stack(found)
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = equalized(gradient.lerp(momentum, MOMENTUM))
            scale = rate * max(1.0, group[0].shape[0] / group[0].shape[1]) ** 0.5
            for name, p, u in zip(names, group, update, strict=True):
                factor = factors.of(name)
                rest(name, u)
                p.mul_(1 - factor * rate * WEIGHT_DECAY).sub_(factor * scale * u)
                p.grad = None


class Optimizer:
    def __init__(self, model: Llama) -> None:
        named = dict(model.named_parameters())
        inner = {n: p for n, p in named.items() if p.ndim == 2 and n.startswith("layers.")}
        self.muon = Muon(inner)
        rest = [(n, p) for n, p in named.items() if n not in inner]
        rates = {"embed.weight": EMBEDDING_RATE, "output.weight": OUTPUT_RATE}
        groups = [{"params": [p], "name": n, "rate": rates.get(n, NORM_RATE)} for n, p in rest]
        self.adam = torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.95), weight_decay=0.0, fused=True)

    def step(self, scale: float, factors: Factors) -> None:
        self.muon.step(MATRIX_RATE * scale, factors)
        for group in self.adam.param_groups:
            group["lr"] = group["rate"] * scale * factors.of(group["name"])
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def state(self) -> dict:
        return {"momenta": self.muon.momenta, "adam": self.adam.state_dict()}

    def load(self, state: dict) -> None:
        for mine, stored in zip(self.muon.momenta, state["momenta"], strict=True):
            mine.copy_(stored)
        self.adam.load_state_dict(state["adam"])
