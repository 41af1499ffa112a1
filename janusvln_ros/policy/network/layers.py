"""Layers that the encoders and the language model share."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """
    Root-mean-square norm (arXiv 1910.07467), computed in float32, returned in the input's dtype.

    Input and output are (..., dim).
    """

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = x.float()
        normed = normed * torch.rsqrt(normed.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * normed.to(x.dtype)


class LayerNorm(nn.LayerNorm):
    """Layer norm in float32, also returned so, whatever the dtype of weights and input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(
            x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps
        )


class Projection(nn.ModuleDict):
    """A convolution of patches under the name that checkpoints give it."""

    proj: nn.Conv2d | nn.Conv3d


class GatedMLP(nn.Module):
    """SwiGLU (arXiv 2002.05202): down(silu(gate(x)) * up(x)); (..., dim) to (..., dim)."""

    def __init__(self, dim: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(dim, hidden, bias=bias)
        self.up_proj: nn.Linear | None = nn.Linear(dim, hidden, bias=bias)
        self.down_proj = nn.Linear(hidden, dim, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.gate_proj(x)
        gate, up = gate.chunk(2, dim=-1) if self.up_proj is None else (gate, self.up_proj(x))
        return self.down_proj(functional.silu(gate) * up)

    @torch.no_grad()
    def join(self, multiple: int) -> None:
        """Make gate and up, with biases, one product, and by zeros the hidden size a multiple."""
        if self.up_proj is None:
            return
        more = -len(self.gate_proj.weight) % multiple
        for name, room in (('weight', (0, 0, 0, more)), ('bias', (0, more))):
            both = [functional.pad(getattr(x, name), room) for x in (self.gate_proj, self.up_proj)]
            setattr(self.gate_proj, name, nn.Parameter(torch.cat(both)))
        self.down_proj.weight = nn.Parameter(functional.pad(self.down_proj.weight, (0, more)))
        self.up_proj = None


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """
    Rotate channel pairs (j, j + d/2) of the last axis (RoPE, arXiv 2104.09864).

    x (..., d); cos, sin broadcastable to (..., d/2), float32. Computed in float32, returned in x's
    dtype.
    """
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)
