"""
Visual-semantic encoder: the vision tower of Qwen2.5-VL.

Paper, section 3.1; Qwen2.5-VL, arXiv 2502.13923, section 2.1.1.

All images of a call share one patch grid, so windows become plain batches: no padding, no mask.
Letters in shapes: B images, N patches of an image, M = N / 4 merged tokens, C channels.
"""

from __future__ import annotations

from typing import NamedTuple

from janusvln_ros.policy.network.config import VisionConfig
from janusvln_ros.policy.network.layers import GatedMLP, Projection, RMSNorm, rotate
from janusvln_ros.policy.network.regions import Region
import torch
from torch import nn
from torch.nn import functional

ROPE_BASE = 10000.0


class VisionTables(NamedTuple):
    """What depends on the patch grid alone; see `VisionTower.tables`."""

    order: torch.Tensor  # (M,) merged tokens, window by window, windows of equal size together
    restore: torch.Tensor  # (M,) the inverse of order
    windows: tuple[tuple[int, int], ...]  # (windows of one size, patches in each), in that order
    bounds: torch.Tensor  # (windows + 1) int32, patches before each window, and all
    cos: torch.Tensor  # (N, 1, head_dim / 2) float32, in window order
    sin: torch.Tensor  # (N, 1, head_dim / 2) float32


class Attention(nn.Module):
    """Self-attention within windows, or over the whole image."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, x: torch.Tensor, tables: VisionTables, windows: tuple[tuple[int, int], ...]
    ) -> torch.Tensor:
        """(B, N, C) to (B, N, C)."""
        q, k, v = (
            self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        )  # (B, N, heads, head_dim)
        q, k = rotate(q, tables.cos, tables.sin), rotate(k, tables.cos, tables.sin)
        fits = x.is_cuda and x.dtype != torch.float32 and q.shape[3] % 8 == 0
        if fits and len(windows) > 1 and len(x) == 1 and not x.requires_grad:
            most = windows[0][1]  # patches; one kernel takes windows of all lengths
            output = torch.ops.aten._flash_attention_forward(
                q[0], k[0], v[0], tables.bounds, tables.bounds, most, most, 0.0, False, False
            )[0]
            return self.proj(output.flatten(1)[None])
        sizes = [count * size for count, size in windows]
        outputs = []
        for (count, size), *parts in zip(windows, *(t.split(sizes, dim=1) for t in (q, k, v))):
            # (B * count, heads, size, head_dim)
            parts = [
                part.unflatten(1, (count, size)).flatten(0, 1).transpose(1, 2) for part in parts
            ]
            output = functional.scaled_dot_product_attention(*parts).transpose(1, 2)
            outputs.append(output.reshape(len(x), count * size, -1))
        return self.proj(torch.cat(outputs, dim=1))


class Block(nn.Module):
    """Pre-norm block: attention, gated MLP."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = RMSNorm(config.hidden_size)
        self.attn = Attention(config.hidden_size, config.num_heads)
        self.norm2 = RMSNorm(config.hidden_size)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size, bias=True)

    @Region
    def forward(
        self, x: torch.Tensor, tables: VisionTables, windows: tuple[tuple[int, int], ...]
    ) -> torch.Tensor:
        x = x + self.attn(self.norm1(x), tables, windows)
        return x + self.mlp(self.norm2(x))


class PatchMerger(nn.Module):
    """
    Four neighbouring patches to one token of the language model.

    Norm, concatenation, two-layer MLP; here and, for geometry, in the fusion.
    """

    def __init__(self, dim: int, hidden: int, out: int) -> None:
        super().__init__()
        self.ln_q = RMSNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(4 * dim, hidden), nn.GELU(), nn.Linear(hidden, out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, M * 4, dim), the four of a group in a row, to (B, M, out)."""
        return self.mlp(self.ln_q(x).unflatten(1, (-1, 4)).flatten(2))


class VisionTower(nn.Module):
    """Pixel rows to tokens of the language model."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.hidden_size
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.patch_embed = Projection({'proj': nn.Conv3d(3, dim, kernel, kernel, bias=False)})
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.merger = PatchMerger(dim, 4 * dim, config.out_hidden_size)

    def tables(self, rows: int, columns: int) -> VisionTables:
        """Compute what depends on the patch grid alone (both sides even), once for an episode."""
        device = self.merger.ln_q.weight.device
        side = self.config.window_size // self.config.merge_size // self.config.patch_size
        merged = torch.arange(rows // 2 * (columns // 2)).view(rows // 2, columns // 2)
        windows = [
            window.flatten() for band in merged.split(side) for window in band.split(side, dim=1)
        ]
        windows.sort(key=len, reverse=True)
        sizes = [4 * len(window) for window in windows]
        order = torch.cat(windows)

        head_dim = self.config.hidden_size // self.config.num_heads
        frequencies = ROPE_BASE ** (-torch.arange(0, head_dim // 2, 2).float() / (head_dim // 2))
        grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))  # (N, 2)
        grid = grid.view(rows // 2, 2, columns // 2, 2, 2).transpose(1, 2).reshape(-1, 4, 2)[order]
        angles = (grid.flatten(0, 1)[..., None].float() * frequencies).flatten(
            1
        )  # (N, head_dim / 2)
        return VisionTables(
            order.to(device),
            order.argsort().to(device),
            tuple((sizes.count(size), size) for size in sorted(set(sizes), reverse=True)),
            torch.tensor((0, *sizes)).cumsum(0, dtype=torch.int32).to(device),
            angles.cos()[:, None].to(device),
            angles.sin()[:, None].to(device),
        )

    def forward(self, rows: torch.Tensor, tables: VisionTables) -> torch.Tensor:
        """Pixel rows (B, N, 1176), in groups of four, to tokens (B, M, out_hidden_size)."""
        weight = self.patch_embed.proj.weight
        x = functional.linear(rows.to(weight.dtype), weight.flatten(1))
        return self.merge(self.encode(x, tables), tables)

    def embed_still(self, patches: torch.Tensor) -> torch.Tensor:
        """
        Embed patches (B, N, 3, 196), each standing for both times: (B, N, C).

        The times' weights add up: half the work of `forward`'s product, not bit for bit the same.
        """
        weight = self.patch_embed.proj.weight.sum(2).flatten(1)
        return functional.linear(patches.flatten(2).to(weight.dtype), weight)

    def encode(self, x: torch.Tensor, tables: VisionTables) -> torch.Tensor:
        """Run the blocks over embedded patches (B, N, C), returned in the windows' order."""
        x = x.unflatten(1, (-1, 4))[:, tables.order].flatten(1, 2)
        whole = ((1, x.shape[1]),)
        for index, block in enumerate(self.blocks):
            x = block(
                x, tables, whole if index in self.config.full_attention_blocks else tables.windows
            )
        return x

    def merge(self, x: torch.Tensor, tables: VisionTables) -> torch.Tensor:
        """Merge patches (B, N, C) in the windows' order to tokens (B, M, out), row-major."""
        return self.merger(x)[:, tables.restore]
