"""The network: a plain Llama, as the engine's ordinary path runs it.

RMSNorm, rotary positions, grouped heads, SwiGLU and no biases.
Rotary pairs are the two halves of a head (the Hugging Face order); export.py
permutes rows of Q and K for GGUF, where Llama pairs neighbours.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    n_vocab: int = 8192
    n_embd: int = 256
    n_ff: int = 512
    n_layers: int = 5
    n_heads: int = 4
    n_kv_heads: int = 4
    n_ctx: int = 1024
    rope_base: float = 500000.0
    norm_eps: float = 1e-5
    tied: bool = True  # the output reads by the embeddings

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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What it adds, and queries and keys [batch, heads, tokens, head_dim] for guides.py."""
        batch, tokens, width = x.shape
        s = self.shape
        q = self.q(x).view(batch, tokens, s.n_heads, s.head_dim).transpose(1, 2)
        k = self.k(x).view(batch, tokens, s.n_kv_heads, s.head_dim).transpose(1, 2)
        v = self.v(x).view(batch, tokens, s.n_kv_heads, s.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        group = s.n_heads // s.n_kv_heads
        if group > 1:
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, tokens, width)), q, k


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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        attended, q, k = self.attn(self.attn_norm(x), cos, sin)
        x = x + attended
        return x + self.ffn(self.ffn_norm(x)), q, k


class Llama(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.n_vocab, shape.n_embd)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layers))
        self.norm = RMSNorm(shape.n_embd, shape.norm_eps)
        if not shape.tied:
            self.output = nn.Linear(shape.n_embd, shape.n_vocab, bias=False)
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
        return self.forward_with_heads(tokens)[0]

    def forward_with_heads(self, tokens: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The same, and each layer's queries and keys."""
        n = tokens.shape[1]
        x = self.embed(tokens)
        heads = []
        for layer in self.layers:
            x, q, k = layer(x, self.cos[:n], self.sin[:n])
            heads.append((q, k))
        return self.norm(x), heads

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ (self.embed if self.shape.tied else self.output).weight.T

    def n_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())
