"""
Training of a dense depth head on a network that stays as it is.

What the head reads of the views is therefore encoded once. Depth is told in heights of the camera,
which a picture can show: where the floor meets a thing says how many heights away it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network.heads import DenseHead, HEADS, HeadTables
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.preprocessing import PATCH
from janusvln_ros.training.forward import encode_levels
from janusvln_ros.training.loop import Network
import numpy as np
from numpy.lib.format import open_memmap
import torch
from tqdm import tqdm

HEAD = 'depth_head'
_CERTAIN = 0.1  # error at which the confidence is 1, its least
_FACTOR = 1.25  # within which depth counts as right
_NEAR = 5.0  # m, up to which depth is judged


def add_head(model: JanusModel, features: int, channels: tuple[int, ...]) -> None:
    """Give a model an untrained head of these sizes; it takes the place of one that is there."""
    config = replace(model.config.geometry, head_features=features, head_out_channels=channels)
    model.vggt[HEAD] = DenseHead(config, HEADS[HEAD])
    model.config = replace(model.config, geometry=config)


@torch.no_grad()
def encode_views(model: JanusModel, views: Path, folder: Path) -> None:
    """
    Encode dense views of `write_views` to what a head reads of them, in `folder`.

    tokens.npy float16 (tours, frames, blocks, patches, 2C), of every block in `head_layers`;
    encoded.npy bool (tours,): an interrupted run goes on where it was, and so does one for which
    more tours have been drawn. FileNotFoundError without such views.
    """
    if not (views / 'pixel_depth.npy').exists():
        raise FileNotFoundError(
            f'no pixel_depth.npy in {views}; make views with dense: true first'
        )
    frames, done = (np.load(views / f'{name}.npy', mmap_mode='r') for name in ('rgb', 'done'))
    config, pixels = model.config.geometry, frames.shape[2] * frames.shape[3]
    blocks = len(set(config.head_layers))
    patches = pixels // PATCH**2
    shape = (*frames.shape[:2], blocks, patches, 2 * config.embed_dim)
    mode = 'r+' if (folder / 'tokens.npy').exists() else 'w+'
    folder.mkdir(parents=True, exist_ok=True)
    tokens = open_memmap(folder / 'tokens.npy', mode, np.float16, shape)
    encoded = open_memmap(folder / 'encoded.npy', mode, np.bool_, shape[:1])
    for tour in tqdm(np.flatnonzero(done & ~encoded), desc='tours encoded', mininterval=5):
        rgb = torch.from_numpy(frames[tour : tour + 1].copy()).to(model.device)
        levels = dict(zip(config.head_layers, encode_levels(model, rgb, MemoryConfig())))
        tokens[tour] = torch.stack([*levels.values()], dim=1).cpu().numpy()
        encoded[tour] = True


class DenseBatches:
    """Batches of single frames out of all tours."""

    def __init__(self, views: Path, folder: Path, frames: int, seed: int) -> None:
        """Open what `write_views` and `encode_views` have written."""
        self._tokens, self._depth, camera, encoded = (
            np.load(path, mmap_mode='r')
            for path in (
                folder / 'tokens.npy',
                views / 'pixel_depth.npy',
                views / 'camera.npy',
                folder / 'encoded.npy',
            )
        )
        self._height, self._there = camera[:, 1], np.flatnonzero(encoded)
        self._frames, self._seed = frames, seed

    def batch(self, step: int, part: int) -> dict[str, torch.Tensor]:
        """Draw frames: tokens (B, blocks, P0, 2C), depth in metres (B, h, w), height (B,)."""
        rng = np.random.default_rng([self._seed, step, part])
        tours = rng.choice(self._there, self._frames)
        numbers = rng.integers(self._tokens.shape[1], size=self._frames)
        arrays = {
            'tokens': self._tokens[tours, numbers],
            'depth': self._depth[tours, numbers],
            'height': self._height[tours],
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


class DenseNetwork(Network):
    """The model, of which only the depth head learns."""

    def __init__(self, model: JanusModel) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.model.vggt[HEAD].requires_grad_(True)
        layers = model.config.geometry.head_layers
        self._of_level = [sorted(set(layers)).index(block) for block in layers]

    def groups(self) -> list[dict[str, Any]]:
        """Train the head."""
        return [{'params': [p for p in self.parameters() if p.requires_grad]}]

    def forward(
        self, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Judge depth by its logarithm, and confidence by that error."""
        device = self.model.device
        tokens, metres, height = (
            batch[name].to(device).float() for name in ('tokens', 'depth', 'height')
        )
        rows, columns = (side // PATCH for side in metres.shape[1:])
        tables = HeadTables(self.model.config.geometry, rows, columns, device)
        levels = [tokens[:, index] for index in self._of_level]
        depth, confidence = self.model.heads[HEAD](levels, tables).float().unbind(1)
        truth = metres / height[:, None, None]
        error = (depth / truth).log().abs()
        certain = confidence * error.detach() - _CERTAIN * confidence.log()
        near = metres < _NEAR
        metrics = {
            'depth': error.mean(),
            'abs_rel': ((depth - truth).abs() / truth)[near].mean(),
            'delta_1': (error < np.log(_FACTOR))[near].float().mean(),
        }
        return error.mean() + 0.1 * certain.mean(), metrics
