"""
Dense heads on the geometry encoder's tokens: depth, or points, with a confidence, of one frame.

DPT (arXiv 2103.13413) as VGGT has it (arXiv 2503.11651, section 3.4): the tokens of four blocks
become maps of four sizes, which are fused from coarse to fine. Both heads compute in float32, as
the published code does. Letters in shapes: P tokens of a frame, C channels of a block, rows and
columns of patches, H x W the pixels that the encoder sees, 14 to a patch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from janusvln_ros.policy.network.config import GeometryConfig
from janusvln_ros.policy.network.layers import LayerNorm
import torch
from torch import nn
from torch.nn import functional

HEADS = {'depth_head': 2, 'point_head': 4}  # published name: channels, the last is confidence
HEADS_OF = {'none': (), 'depth': ('depth_head',), 'points': ('depth_head', 'point_head')}
FINEST = 32  # channels at full resolution
EMBEDDING_BASE, EMBEDDING_SCALE = 100.0, 0.1


class Levels:
    """What the heads need of a frame: tokens of four blocks, and the stream into the last one."""

    def __init__(self, config: GeometryConfig, tokens: int, device: torch.device) -> None:
        """Allocate for frames of so many tokens, special ones included."""
        self._last = config.depth - 1
        self._blocks = config.head_layers
        width = config.embed_dim
        self._tokens = {
            block: torch.zeros(1, tokens, 2 * width, device=device)
            for block in self._blocks
            if block != self._last
        }
        self.stream = torch.zeros(1, tokens, width, device=device)

    @property
    def nbytes(self) -> int:
        """Bytes of all storage."""
        return sum(x.nbytes for x in (*self._tokens.values(), self.stream))

    def keep(self, block: int, within: torch.Tensor, across: torch.Tensor) -> None:
        """Keep a block's frame and global output, each (1, P, C), where one of them is needed."""
        if block in self._tokens:
            self._tokens[block].copy_(torch.cat((within, across), dim=-1))
        if block == self._last - 1:
            self.stream.copy_(across)

    def with_last(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Give the four levels' tokens (1, P, 2C); `tokens` are those of the last block."""
        return [self._tokens.get(block, tokens) for block in self._blocks]


class HeadTables:
    """Position embeddings of a grid of patches, in two parts by size and channels."""

    def __init__(
        self, config: GeometryConfig, rows: int, columns: int, device: torch.device
    ) -> None:
        self.grid = rows, columns
        pixels = rows * config.patch_size, columns * config.patch_size
        self.pixels = pixels
        aspect = pixels[1] / pixels[0]
        self.coarse = [
            position_embedding(n, self.grid, aspect, device) for n in config.head_out_channels
        ]
        self.fine = position_embedding(config.head_features // 2, pixels, aspect, device)


def position_embedding(
    channels: int, size: tuple[int, int], aspect: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Sines and cosines of where a map's points lie in the picture, float32.

    size: (h, w) of the map. aspect: width by height of the picture, whose diagonal is 2 long.
    Returns those by column, (channels / 2, 1, w), which go to the first half of the channels, and
    those by row, (channels / 2, h, 1): the whole of it is 160 MB at the published size.
    """
    h, w = size
    diagonal = (aspect**2 + 1) ** 0.5
    reach_x, reach_y = (
        side * (n - 1) / n for side, n in ((aspect / diagonal, w), (1 / diagonal, h))
    )
    x = torch.linspace(-reach_x, reach_x, w, dtype=torch.float32).double()
    y = torch.linspace(-reach_y, reach_y, h, dtype=torch.float32).double()
    quarter = channels // 4
    turns = EMBEDDING_BASE ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    by_x, by_y = (places * turns[:, None] for places in (x, y))
    columns, rows = (
        (torch.cat((part.sin(), part.cos())).float() * EMBEDDING_SCALE).to(device)
        for part in (by_x, by_y)
    )
    return columns[:, None], rows[:, :, None]


def add_position(x: torch.Tensor, embedding: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Add a position embedding to maps (B, C, h, w) in place; return them."""
    half = x.shape[1] // 2
    for part, of_half in zip((x[:, :half], x[:, half:]), embedding):
        part += of_half
    return x


class ResidualUnit(nn.Module):
    """Two convolutions beside a shortcut, which carries the rectified input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(x)
        return self.conv2(functional.relu(self.conv1(x))) + x


class Fusion(nn.Module):
    """Adds a level to the coarser ones before it, and resamples to the next level's size."""

    def __init__(self, channels: int, first: bool) -> None:
        super().__init__()
        if not first:
            self.resConfUnit1 = ResidualUnit(channels)
        self.resConfUnit2 = ResidualUnit(channels)
        self.out_conv = nn.Conv2d(channels, channels, 1)

    def forward(
        self, level: torch.Tensor, coarser: torch.Tensor | None, size: Sequence[int]
    ) -> torch.Tensor:
        """Fuse maps (B, C, h, w) to one of the given size."""
        if coarser is not None:
            level = coarser + self.resConfUnit1(level)
        # a 1 x 1 convolution commutes with the resampling, and is cheaper before it
        return resample(self.out_conv(self.resConfUnit2(level)), size)


def resample(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Resample maps (B, C, h, w) to another size, corners on corners."""
    return functional.interpolate(x, tuple(size), mode='bilinear', align_corners=True)


class DenseHead(nn.Module):
    """One head under its published names; `channels` of output, of which confidence is one."""

    def __init__(self, config: GeometryConfig, channels: int) -> None:
        super().__init__()
        width, features = 2 * config.embed_dim, config.head_features
        sizes = config.head_out_channels
        self.norm = LayerNorm(width, eps=1e-5)
        self.projects = nn.ModuleList(nn.Conv2d(width, size, 1) for size in sizes)
        self.resize_layers = nn.ModuleList(
            (
                nn.ConvTranspose2d(sizes[0], sizes[0], 4, stride=4),
                nn.ConvTranspose2d(sizes[1], sizes[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(sizes[3], sizes[3], 3, stride=2, padding=1),
            )
        )
        narrowed = {
            f'layer{level}_rn': nn.Conv2d(size, features, 3, padding=1, bias=False)
            for level, size in enumerate(sizes, start=1)
        }
        fused = {f'refinenet{level}': Fusion(features, level == 4) for level in (1, 2, 3, 4)}
        closing = {
            'output_conv1': nn.Conv2d(features, features // 2, 3, padding=1),
            'output_conv2': nn.Sequential(
                nn.Conv2d(features // 2, FINEST, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(FINEST, channels, 1),
            ),
        }
        self.scratch = nn.ModuleDict({**narrowed, **fused, **closing})

    def forward(self, levels: Iterable[torch.Tensor], tables: HeadTables) -> torch.Tensor:
        """
        Predict from the patch tokens of four blocks, each (B, rows * columns, 2C) float32.

        Returns (B, channels, H, W) float32: depth along the optical axis, or points (x right,
        y down, z forward) in the first frame's camera, in the network's own unit of length;
        confidence, above 1, is the last channel.
        """
        maps = [
            self.scratch[f'layer{level + 1}_rn'](self._resized(level, tokens, tables))
            for level, tokens in enumerate(levels)
        ]
        sizes = [[2 * n for n in maps[0].shape[2:]], *(x.shape[2:] for x in maps)]
        x = None
        for level in (3, 2, 1, 0):  # a map is free once it is used: the last ones are large
            x = self.scratch[f'refinenet{level + 1}'](maps.pop(), x, sizes[level])
        x = self.scratch['output_conv1'](x)
        x = add_position(resample(x, tables.pixels), tables.fine)
        out = self.scratch['output_conv2'](x)
        values, confidence = out[:, :-1], out[:, -1:]
        one = values.shape[1] == 1
        values = values.exp() if one else values.sign() * values.abs().expm1()
        return torch.cat((values, 1 + confidence.exp()), dim=1)

    def _resized(self, level: int, tokens: torch.Tensor, tables: HeadTables) -> torch.Tensor:
        grid = self.norm(tokens).transpose(1, 2).unflatten(2, tables.grid)
        placed = add_position(self.projects[level](grid), tables.coarse[level])
        return self.resize_layers[level](placed)
