"""
Spatial-geometric encoder: VGGT's aggregator, frame by frame against its memory.

Paper section 3.2 (spatial-geometric memory); VGGT, arXiv 2503.11651, section 3.3 (alternating
attention); DINOv2, arXiv 2304.07193. Letters in shapes: B batch, P tokens of a frame (camera,
registers, patches), C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import math
from typing import NamedTuple

from janusvln_ros.policy.network.config import GeometryConfig
from janusvln_ros.policy.network.layers import LayerNorm, Projection, rotate
from janusvln_ros.policy.network.regions import Region
import torch
from torch import nn
from torch.nn import functional

# (block, q, k, v), each (B, heads, P, head_dim) -> (B, heads, P, head_dim)
Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
# (block, frame block's output, global block's), both (B, P, C)
Keep = Callable[[int, torch.Tensor, torch.Tensor], None]


class GeometryTables(NamedTuple):
    """What depends on the patch grid alone; see `Aggregator.tables`."""

    positions: torch.Tensor  # (1, 1 + patches, C): the position table resampled to the grid
    cos: torch.Tensor  # (P, 2, head_dim / 4) float32, for rows and columns
    sin: torch.Tensor  # (P, 2, head_dim / 4) float32


class Attention(nn.Module):
    """Multi-head attention with a fused projection; optionally query/key norm and 2-D rotation."""

    def __init__(self, dim: int, heads: int, eps: float, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        if qk_norm:
            self.q_norm = LayerNorm(dim // heads, eps=eps)
            self.k_norm = LayerNorm(dim // heads, eps=eps)

    def forward(self, x: torch.Tensor, tables: GeometryTables | None) -> tuple[torch.Tensor, ...]:
        """(B, P, C) to queries, keys and values; what is attended to then goes through `proj`."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if tables is not None:
            q = rotate_2d(self.q_norm(q), tables).to(v.dtype)
            k = rotate_2d(self.k_norm(k), tables).to(v.dtype)
        return q, k, v


class MLP(nn.Module):
    """Two linear layers with an exact GELU between; (..., C) to (..., C)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned factor per channel (arXiv 2103.17239)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class Block(nn.Module):
    """
    Pre-norm transformer block with layer scale.

    The residual stream keeps the input's dtype; norms are float32, products run in the weights'
    dtype: what autocast does in the published code.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: int, eps: float, qk_norm: bool) -> None:
        super().__init__()
        self.norm1 = LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, eps, qk_norm)
        self.ls1 = LayerScale(dim)
        self.norm2 = LayerNorm(dim, eps=eps)
        self.mlp = MLP(dim, mlp_ratio * dim)
        self.ls2 = LayerScale(dim)

    def forward(
        self,
        x: torch.Tensor,
        tables: GeometryTables | None = None,
        attend: Callable[..., torch.Tensor] = functional.scaled_dot_product_attention,
    ) -> torch.Tensor:
        """(B, P, C) to (B, P, C); `attend` maps q, k, v (B, heads, P, head_dim) to the same."""
        return self._close(x, attend(*self._open(x, tables)))

    @Region
    def _open(self, x: torch.Tensor, tables: GeometryTables | None) -> tuple[torch.Tensor, ...]:
        return self.attn(self.norm1(x).to(self.ls1.gamma.dtype), tables)

    @Region
    def _close(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        x = x + self.ls1(self.attn.proj(attended.transpose(1, 2).flatten(2)))
        return x + self.ls2(self.mlp(self.norm2(x).to(self.ls1.gamma.dtype)))


class PatchEmbed(nn.Module):
    """DINOv2 with registers (arXiv 2309.16588): pixels to patch tokens."""

    def __init__(self, config: GeometryConfig) -> None:
        super().__init__()
        dim, patch = config.embed_dim, config.patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (config.img_size // patch) ** 2, dim))
        self.register_tokens = nn.Parameter(torch.zeros(1, config.num_register_tokens, dim))
        self.patch_embed = Projection({'proj': nn.Conv2d(3, dim, patch, patch)})
        self.blocks = nn.ModuleList(
            Block(
                dim,
                config.dino_num_heads,
                config.mlp_ratio,
                config.dino_layernorm_eps,
                qk_norm=False,
            )
            for _ in range(config.dino_depth)
        )
        self.norm = LayerNorm(dim, eps=config.dino_layernorm_eps)

    def positions(self, rows: int, columns: int) -> torch.Tensor:
        """Resample the position table (bicubic, antialiased): (1, 1 + rows * columns, C)."""
        side = math.isqrt(self.pos_embed.shape[1] - 1)
        if (rows, columns) == (side, side):
            return self.pos_embed
        table = self.pos_embed.float()
        grid = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        grid = functional.interpolate(grid, (rows, columns), mode='bicubic', antialias=True)
        grid = grid.flatten(2).transpose(1, 2)
        return torch.cat((table[:, :1], grid), dim=1).to(self.pos_embed.dtype)

    def forward(self, pixels: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Normalised pixels (B, 3, h, w), `positions` of the grid, to (B, patches, C) float32."""
        projection, batch = self.patch_embed.proj, len(pixels)
        side = projection.kernel_size[0]
        patches = pixels.unflatten(3, (-1, side)).unflatten(2, (-1, side))
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        # a product, as cuDNN's convolutions would round float32 to TF32
        patches = functional.linear(
            patches.to(projection.weight.dtype), projection.weight.flatten(1), projection.bias
        )
        x = torch.cat((self.cls_token.expand(batch, -1, -1), patches), dim=1) + positions
        registers = self.register_tokens.expand(batch, -1, -1)
        x = torch.cat((x[:, :1], registers, x[:, 1:]), dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 1 + registers.shape[1] :]


class Aggregator(nn.Module):
    """Alternating attention: within the frame, then over the remembered frames and this one."""

    def __init__(self, config: GeometryConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embed_dim
        self.camera_token = nn.Parameter(torch.zeros(1, 2, 1, dim))
        self.register_token = nn.Parameter(torch.zeros(1, 2, config.num_register_tokens, dim))
        self.patch_embed = PatchEmbed(config)
        self.frame_blocks, self.global_blocks = (
            nn.ModuleList(
                Block(dim, config.num_heads, config.mlp_ratio, config.layernorm_eps, qk_norm=True)
                for _ in range(config.depth)
            )
            for _ in range(2)
        )

    def tables(self, rows: int, columns: int) -> GeometryTables:
        """
        Compute what depends on the patch grid alone, once for an episode.

        A patch at (r, c) stands at (r + 1, c + 1), the special tokens at (0, 0). The first half of
        a head turns with the row, the second with the column, by angles position * base^(-2j/d), d
        channels to a half.
        """
        special = self.config.num_special_tokens
        half = self.config.embed_dim // self.config.num_heads // 2
        device = self.camera_token.device
        grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)) + 1
        positions = torch.cat((torch.zeros(special, 2, dtype=grid.dtype), grid)).to(
            device
        )  # (P, 2)
        frequencies = self.config.rope_base ** (
            -torch.arange(0, half, 2, device=device).float() / half
        )
        angles = positions[..., None].float() * frequencies  # (P, 2, head_dim / 4)
        return GeometryTables(
            self.patch_embed.positions(rows, columns), angles.cos(), angles.sin()
        )

    def special(self, variant: int | torch.Tensor) -> torch.Tensor:
        """
        Return camera and register tokens: (S, C), or (B, S, C) for variants (B,), int64.

        An episode's first frame has those of variant 0 and defines the world frame; all others
        have those of variant 1.
        """
        return torch.cat((self.camera_token, self.register_token), dim=2)[0, variant]

    def forward(
        self,
        pixels: torch.Tensor,
        tables: GeometryTables,
        special: torch.Tensor,
        attend: Attend,
        keep: Keep | None = None,
    ) -> torch.Tensor:
        """
        Encode frames.

        pixels: (B, 3, h, w), normalised with ImageNet's mean and deviation. special: see there.
        attend: attention over the memory for the global block of the given number. keep: takes
        every block's outputs, for the dense heads.
        Returns (B, P, 2C) in float32: frame and global output of the feature block side by side,
        special tokens first.
        """
        patches = self.patch_embed(pixels, tables.positions)
        x = torch.cat((special.expand(len(patches), -1, -1), patches), dim=1)
        for index in range(self.config.num_used_blocks):
            within, x = self.pair(index, x, tables, attend)
            if keep is not None:
                keep(index, within, x)
        return torch.cat((within, x), dim=-1)

    def pair(
        self, index: int, x: torch.Tensor, tables: GeometryTables, attend: Attend
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run a frame block and the global block behind it; each gives (B, P, C)."""
        within = self.frame_blocks[index](x, tables)
        across = self.global_blocks[index](within, tables, partial(attend, index))
        return within, across


def rotate_2d(x: torch.Tensor, tables: GeometryTables) -> torch.Tensor:
    """Rotate each half of the head (B, heads, P, head_dim) by its own axis."""
    return rotate(x.unflatten(-1, (2, -1)), tables.cos, tables.sin).flatten(-2)
