"""
Pre-training of both encoders on drawn views: what is seen where, how far, how the camera moved.

Heads read the tokens that the language model would get, so both mergers are trained as well; every
token answers for its 2 x 2 patches. The heads are dropped afterwards. Kind and colour are asked
for apart, so that pairs which training does not have are not learned to be impossible.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network.fusion import fuse
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.sim.house import CATEGORIES, COLOURS
from janusvln_ros.training.data.labels import CLASSES, NOTHING, PATCH_COLUMNS, PATCH_ROWS
from janusvln_ros.training.forward import (
    encode_geometry,
    encode_vision,
    merge_geometry,
    merge_vision,
)
from janusvln_ros.training.loop import Network
import numpy as np
import torch
from torch import nn
from torch.nn import functional

_CELLS = PATCH_ROWS // 2 * (PATCH_COLUMNS // 2)
_KINDS = len(CATEGORIES) + 2  # and door, nothing
_COLOURS = len(COLOURS) + 1  # and none
_FILLED = 0.75  # share of a patch's rays at which one class fills it
_PLAIN = 0.3  # weight of a ray that meets nothing: most do
_WEIGHTS = {
    'kinds': 1.0,
    'colours': 1.0,
    'fused_kinds': 0.5,
    'fused_colours': 0.5,
    'depth': 1.0,
    'geometry_depth': 1.0,
    'motion': 2.0,
    'cell': 0.1,
}


class ViewBatches:
    """Batches of tours that `janusvln data views` has drawn."""

    def __init__(self, folder: Path, tours: int, seed: int) -> None:
        """Open a folder's arrays; FileNotFoundError where they are not."""
        names = ('rgb', 'depth', 'rays', 'motion', 'done')
        for name in names:
            if not (folder / f'{name}.npy').exists():
                raise FileNotFoundError(
                    f'no {name}.npy in {folder}; make views first: janusvln data views {folder}'
                )
        self._arrays = {name: np.load(folder / f'{name}.npy', mmap_mode='r') for name in names}
        self._there = np.flatnonzero(self._arrays.pop('done'))
        self._tours, self._seed = tours, seed

    def batch(self, step: int, part: int) -> dict[str, torch.Tensor]:
        """Draw tours: the arrays of `write_views`, (E, T, …)."""
        rng = np.random.default_rng([self._seed, step, part])
        chosen = np.sort(rng.choice(self._there, self._tours))
        return {name: torch.from_numpy(array[chosen]) for name, array in self._arrays.items()}


class PretrainingNetwork(Network):
    """The model with read-outs of its tokens."""

    kinds: torch.Tensor
    colours: torch.Tensor

    def __init__(self, model: JanusModel) -> None:
        super().__init__()
        hidden = model.config.language.hidden_size
        self.model = model
        self.seen = nn.Linear(hidden, 4 * (_KINDS + _COLOURS))  # of semantics
        self.fused = nn.Linear(hidden, 4 * (_KINDS + _COLOURS + 1))  # and depth
        self.measured = nn.Linear(hidden, 4)  # of geometry: depth
        self.motion = nn.Linear(hidden, 3)  # of geometry
        self.cell = nn.Linear(hidden, _CELLS)  # of the fusion: where in the picture it is
        number = torch.arange(CLASSES)
        kinds = torch.full((NOTHING + 1,), _KINDS - 1)
        kinds[:CLASSES] = number // len(COLOURS)
        colours = torch.full((NOTHING + 1,), _COLOURS - 1)
        colours[:CLASSES] = number % len(COLOURS)
        self.register_buffer('kinds', kinds, persistent=False)  # of each class
        self.register_buffer('colours', colours, persistent=False)
        model.model.requires_grad_(False)
        model.lm_head.requires_grad_(False)

    def groups(self) -> list[dict[str, Any]]:
        """Train the encoders and mergers, and the heads."""
        return [{'params': [p for p in self.parameters() if p.requires_grad]}]

    def forward(
        self, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Add up the heads' losses."""
        device = self.model.device
        batch = {name: value.to(device) for name, value in batch.items()}
        frames = batch['rgb']
        grid = PATCH_ROWS, PATCH_COLUMNS
        semantics = merge_vision(self.model, encode_vision(self.model, frames), *grid)
        geometry = merge_geometry(
            self.model, encode_geometry(self.model, frames, MemoryConfig()), *grid
        )
        tokens = fuse(semantics, geometry, self.model.config.lam)

        rays = _by_token(batch['rays'].long())  # (E, T, M, 4, 16)
        kinds = functional.one_hot(self.kinds[rays], _KINDS).float().mean(-2)
        colours = functional.one_hot(self.colours[rays], _COLOURS).float().mean(-2)
        depth = _by_token(batch['depth'].float().unflatten(2, grid))[..., 0].log()
        seen_kinds, seen_colours = _per_patch(self.seen(semantics)).split((_KINDS, _COLOURS), -1)
        fused_kinds, fused_colours, fused_depth = _per_patch(self.fused(tokens)).split(
            (_KINDS, _COLOURS, 1), -1
        )
        cells = torch.arange(_CELLS, device=device).expand(tokens.shape[:3])
        motion, moved = self.motion(geometry.mean(2)).float(), batch['motion'].float()
        measured, place = self.measured(geometry).float(), self.cell(tokens).float()
        losses = {
            'kinds': _entropy(seen_kinds, kinds),
            'colours': _entropy(seen_colours, colours),
            'fused_kinds': _entropy(fused_kinds, kinds),
            'fused_colours': _entropy(fused_colours, colours),
            'depth': functional.smooth_l1_loss(fused_depth[..., 0], depth, beta=0.3),
            'geometry_depth': functional.smooth_l1_loss(measured, depth, beta=0.3),
            'motion': functional.smooth_l1_loss(motion[:, 1:], moved[:, 1:], beta=0.1),
            'cell': functional.cross_entropy(place.flatten(0, 2), cells.flatten()),
        }
        most = rays.mode(-1).values
        filled = ((rays == most[..., None]).float().mean(-1) >= _FILLED) & (most != NOTHING)
        right = (seen_kinds.argmax(-1) == self.kinds[most]) & (
            seen_colours.argmax(-1) == self.colours[most]
        )
        metrics = {**losses, 'pair_right': (right & filled).sum() / filled.sum().clamp(min=1)}
        weighed = (_WEIGHTS[name] * value for name, value in losses.items())
        return sum(weighed, torch.zeros((), device=device)), metrics


def _by_token(values: torch.Tensor) -> torch.Tensor:
    """Sort a picture's values (E, T, rows, columns) by token and patch: (E, T, M, 4, n)."""
    high, wide = values.shape[2] // PATCH_ROWS, values.shape[3] // PATCH_COLUMNS
    values = values.unflatten(3, (-1, 2, wide)).unflatten(2, (-1, 2, high))
    return values.permute(0, 1, 2, 5, 3, 6, 4, 7).flatten(6).flatten(4, 5).flatten(2, 3)


def _per_patch(read: torch.Tensor) -> torch.Tensor:
    """Split a read-out (…, 4 n) by the token's patches: float32 (…, 4, n)."""
    return read.float().unflatten(-1, (4, -1))


def _entropy(guess: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Give the cross entropy of distributions (…, n), the last of which is weighed less."""
    each = -there * guess.log_softmax(-1)
    each[..., -1] *= _PLAIN
    return each.sum() / (there.sum() - (1 - _PLAIN) * there[..., -1].sum())
