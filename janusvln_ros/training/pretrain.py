"""
Pre-training of both encoders on drawn views: what is seen where, how far, how the camera moved.

Heads read the tokens that the language model would get, so both mergers are trained as well; the
heads are dropped afterwards. Pairs of thing and colour that evaluation holds out do not occur.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from janusvln_ros.evaluation.grammar import HELD_OUT_PAIRS
from janusvln_ros.policy.fusion import fuse
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.model import JanusModel
from janusvln_ros.sim.house import CATEGORIES, COLOURS
from janusvln_ros.training.forward import measure, merge, merge_vision, see_patches
from janusvln_ros.training.labels import (
    CELL_COLUMNS,
    CELL_ROWS,
    CLASSES,
    PATCH_COLUMNS,
    PATCH_ROWS,
)
import numpy as np
import torch
from torch import nn
from torch.nn import functional

_FULL = 12.0  # rays of a cell's 64 at which a class counts as wholly there
_CELLS = CELL_ROWS * CELL_COLUMNS
_KINDS = len(CATEGORIES) + 1 + len(COLOURS)  # things, doors, colours
_WEIGHTS = {'kinds': 10.0, 'fused_kinds': 10.0, 'pairs': 60.0, 'depth': 2.0, 'cell': 0.3,
            'motion': 3.0}  # brings the losses to one size


class Views:
    """Batches of tours that `janusvln data views` has drawn."""

    def __init__(self, folder: Path, tours: int, seed: int) -> None:
        """Open a folder's arrays; FileNotFoundError where they are not."""
        names = ('rgb', 'depth', 'presence', 'motion', 'done')
        for name in names:
            if not (folder / f'{name}.npy').exists():
                raise FileNotFoundError(f'no {name}.npy in {folder}; make views first: '
                                        f'janusvln data views {folder}')
        self._arrays = {name: np.load(folder / f'{name}.npy', mmap_mode='r') for name in names}
        self._there = np.flatnonzero(self._arrays.pop('done'))
        self._tours, self._seed = tours, seed

    def batch(self, step: int, part: int) -> dict[str, torch.Tensor]:
        """Draw tours: the arrays of `write_views`, (E, T, …)."""
        rng = np.random.default_rng([self._seed, step, part])
        chosen = np.sort(rng.choice(self._there, self._tours))
        return {name: torch.from_numpy(array[chosen]) for name, array in self._arrays.items()}


class PretrainingNetwork(nn.Module):
    """The model with read-outs of its tokens."""

    def __init__(self, model: JanusModel) -> None:
        super().__init__()
        hidden = model.config.language.hidden_size
        self.model = model
        self.seen = nn.Linear(hidden, _KINDS + CLASSES)  # of semantics
        self.place = nn.Linear(hidden, 4 + _CELLS + _KINDS)  # of the fusion: depth, cell, kinds
        self.motion = nn.Linear(hidden, 3)  # of geometry
        known = torch.ones(CLASSES)
        known[[len(COLOURS) * CATEGORIES.index(thing) + COLOURS.index(colour)
               for thing, colour in HELD_OUT_PAIRS]] = 0.0
        self.register_buffer('known', known, persistent=False)
        model.model.requires_grad_(False)
        model.lm_head.requires_grad_(False)

    def groups(self) -> list[dict[str, Any]]:
        """Train the encoders and mergers, and the heads."""
        return [{'params': [p for p in self.parameters() if p.requires_grad]}]

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """Add up the heads' losses."""
        device = self.model.device
        batch = {name: value.to(device) for name, value in batch.items()}
        frames = batch['rgb']
        grid = PATCH_ROWS, PATCH_COLUMNS
        semantics = merge_vision(self.model, see_patches(self.model, frames), *grid)
        geometry = merge(self.model, measure(self.model, frames, MemoryConfig()), *grid)
        fused = fuse(semantics, geometry, self.model.config.lam)
        pairs, kinds = _targets(batch['presence'].float())
        entropy = functional.binary_cross_entropy_with_logits
        seen = self.seen(semantics).float()
        place = self.place(fused).float()
        each = entropy(seen[..., _KINDS:], pairs, reduction='none')
        depth = batch['depth'].float().unflatten(2, (PATCH_ROWS // 2, 2, PATCH_COLUMNS // 2, 2))
        depth = depth.transpose(3, 4).flatten(4).flatten(2, 3).log()  # (E, T, M, 4)
        cells = torch.arange(_CELLS, device=device).expand(place.shape[:3]).flatten()
        motion = self.motion(geometry.mean(2)).float()
        losses = {
            'kinds': entropy(seen[..., :_KINDS], kinds),
            'fused_kinds': entropy(place[..., 4 + _CELLS:], kinds),
            'pairs': (each * self.known).mean(),
            'depth': functional.smooth_l1_loss(place[..., :4], depth, beta=0.3),
            'cell': functional.cross_entropy(
                place[..., 4:4 + _CELLS].flatten(0, 2), cells),
            'motion': functional.smooth_l1_loss(
                motion[:, 1:], batch['motion'].float()[:, 1:], beta=0.1)}
        metrics = {name: value.item() for name, value in losses.items()}
        metrics['pair_right'] = _precision(seen[..., _KINDS:], pairs)
        return sum(_WEIGHTS[name] * value for name, value in losses.items()), metrics


def _targets(rays: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give how far each class (…, CLASSES) and each kind and colour (…, 19) is there, 0 to 1."""
    things = rays[..., :-len(COLOURS)].unflatten(-1, (len(CATEGORIES), len(COLOURS)))
    doors = rays[..., -len(COLOURS):]
    kinds = torch.cat((things.sum(-1), doors.sum(-1, keepdim=True), things.sum(-2) + doors), -1)
    return (rays / _FULL).clamp(max=1), (kinds / _FULL).clamp(max=1)


def _precision(guess: torch.Tensor, there: torch.Tensor) -> float:
    """Tell how often the likeliest class is there, among cells where one is wholly there."""
    filled = there.amax(-1) >= 1
    likeliest = guess[filled].argmax(-1, keepdim=True)
    return there[filled].gather(-1, likeliest).gt(0.2).float().mean().item()
