"""An episode of golden data, as it is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
import torch


def tensors_of(golden: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
    """Give the golden tensors of a step by name."""
    start = f's{step:03d}.'
    return {n.removeprefix(start): t for n, t in golden.items() if n.startswith(start)}


def read_meta(folder: Path) -> dict[str, Any]:
    """Read an episode's settings and per-step scalars."""
    return json.loads((folder / 'meta.json').read_text(encoding='utf-8'))


def read_frame(folder: Path, step: int) -> np.ndarray:
    """Read a camera frame: uint8 (H, W, 3), RGB."""
    return np.array(Image.open(folder / 'frames' / f'{step:03d}.png').convert('RGB'))
