"""The network: a plain Llama, as the engine's ordinary path runs it.

RMSNorm, rotary positions, grouped heads, SwiGLU, tied embeddings and no biases.
Rotary pairs are the two halves of a head (the Hugging Face order); export.py
permutes rows of Q and K for GGUF, where Llama pairs neighbours.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    n_vocab: int = 4096
    n_embd: int = 256
    n_ff: int = 768
    n_layers: int = 4
    n_heads: int = 4
    n_kv_heads: int = 2
    n_ctx: int = 1024
    rope_base: float = 500000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_heads


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rotary_tables(shape: Shape) -> tuple[Tensor, Tensor]:
    exponents = torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim
    angles = torch.outer(torch.arange(shape.n_ctx).float(), shape.rope_base**-exponents)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x is [batch, heads, tokens, head_dim]; cos and sin are [tokens, head_dim]."""
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        kv_width = shape.n_kv_heads * shape.head_dim
        self.q = nn.Linear(shape.n_embd, shape.n_embd, bias=False)
        self.k = nn.Linear(shape.n_embd, kv_width, bias=False)
        self.v = nn.Linear(shape.n_embd, kv_width, bias=False)
        self.out = nn.Linear(shape.n_embd, shape.n_embd, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        s = self.shape
        q = self.q(x).view(batch, tokens, s.n_heads, s.head_dim).transpose(1, 2)
        k = self.k(x).view(batch, tokens, s.n_kv_heads, s.head_dim).transpose(1, 2)
        v = self.v(x).view(batch, tokens, s.n_kv_heads, s.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        group = s.n_heads // s.n_kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, tokens, width))


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.n_embd, shape.n_ff, bias=False)
        self.up = nn.Linear(shape.n_embd, shape.n_ff, bias=False)
        self.down = nn.Linear(shape.n_ff, shape.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(shape.n_embd, shape.norm_eps)
        self.attn = Attention(shape)
        self.ffn_norm = RMSNorm(shape.n_embd, shape.norm_eps)
        self.ffn = FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attn(self.attn_norm(x), cos, sin)
        return x + self.ffn(self.ffn_norm(x))


class Llama(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.n_vocab, shape.n_embd)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layers))
        self.norm = RMSNorm(shape.n_embd, shape.norm_eps)
        cos, sin = rotary_tables(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._init_weights()

    def _init_weights(self) -> None:
        nn.init.normal_(self.embed.weight, std=0.1)
        for name, weight in self.named_parameters():
            if name.endswith(("attn.out.weight", "ffn.down.weight")):
                nn.init.zeros_(weight)  # every layer starts as a passage straight through
            elif weight.ndim == 2 and name != "embed.weight":
                nn.init.normal_(weight, std=0.06)

    def forward(self, tokens: Tensor) -> Tensor:
        """Hidden states [batch, tokens, n_embd] after the last norm."""
        n = tokens.shape[1]
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, self.cos[:n], self.sin[:n])
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.embed.weight.T

    def n_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())


@torch.no_grad()
def seed_copying(model: Llama, generator: torch.Generator) -> None:
    """Starts the first two layers as a circuit that continues what it has seen before.

    Layer 0 brings to each place the tokens one and two places back; layer 1 looks for
    earlier places that came after the same two tokens and brings what stood there. Models
    find this circuit by themselves (arXiv:2209.11895), but only after more text than
    a CPU reads in an hour. Training is free to change all of it.
    """
    shape, half = model.shape, model.shape.head_dim // 2
    width, head_dim = shape.n_embd, shape.head_dim
    group = shape.n_heads // shape.n_kv_heads
    first, second = model.layers[0].attn, model.layers[1].attn
    theta = shape.rope_base ** -(torch.arange(0, head_dim, 2).float() / head_dim)

    def directions(n: int) -> Tensor:
        return torch.linalg.qr(torch.randn(width, n, generator=generator)).Q.T

    model.embed.weight[:, 0] = 0.4  # the same for all tokens: what positions alone can ask with
    seen = directions(head_dim)  # what a token hands to later places
    seen[:, 0] = 0
    stores = directions(2 * head_dim).split(head_dim)  # where it lies there
    fast = torch.arange(8)  # rotary pairs that tell neighbours apart
    for back in (1, 2):
        head = back - 1
        for weight in (first.k.weight, first.v.weight):
            weight[head * head_dim : (head + 1) * head_dim] *= 0.1
        first.k.weight[head * head_dim + fast, 0] = 2.0
        first.v.weight[head * head_dim : (head + 1) * head_dim] = seen
        for query in range(head * group, (head + 1) * group):
            rows = query * head_dim
            first.q.weight[rows : rows + head_dim] *= 0.1
            first.q.weight[rows + fast, 0] = 2.0 * torch.cos(back * theta[fast])
            first.q.weight[rows + half + fast, 0] = -2.0 * torch.sin(back * theta[fast])
            first.out.weight[:, rows : rows + head_dim] += 0.2 / group * stores[head].T
    slow = torch.cat((torch.arange(half // 2, half), torch.arange(half // 2, half) + half))
    carried = directions(shape.n_kv_heads * head_dim).split(head_dim)
    for head in range(shape.n_kv_heads):
        mix = torch.randn(2, len(slow), head_dim, generator=generator) / len(slow) ** 0.5
        base = head * head_dim
        second.k.weight[base : base + head_dim] = 0
        second.k.weight[base + slow] = mix[0] @ stores[0] + mix[1] @ stores[1]
        second.v.weight[base : base + head_dim] = carried[head]
        for query in range(head * group, (head + 1) * group):
            rows = query * head_dim
            second.q.weight[rows : rows + head_dim] = 0
            second.q.weight[rows + slow] = 1.5 * (mix[0] @ seen + mix[1] @ stores[0])
            second.out.weight[:, rows : rows + head_dim] += 1.5 / group * carried[head].T
