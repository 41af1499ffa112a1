"""Depth as a picture: a colour for each distance, and a scale that tells which."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

FAR = 5.0  # m, where the colour scale of metres ends
_ENDS = 0.02, 0.98  # quantiles of a frame's depth at the ends of the scale without metres
_ENOUGH = 10_000  # pixels that these are taken from
_STRIPE = 6  # pixels: of what is not known
_UNKNOWN = ((58, 63, 70), (104, 110, 118))  # RGB of its stripes, none of the scale's colours


class DepthPicture(NamedTuple):
    """Depth of a frame's pixels, as it is to be looked at."""

    values: np.ndarray  # float (H, W) along the optical axis, NaN: not known; metres, or any unit
    metric: bool
    note: str  # where metres are known from, or why they are not

    @property
    def title(self) -> str:
        """Say what the colours are."""
        kind = 'in metres' if self.metric else 'relative, not in metres'
        return f'depth {kind}: {self.note}'


def marks(metric: bool) -> list[tuple[float, str]]:
    """List the marks of the colour scale: how far along it, 0 to 1, and the label."""
    if not metric:
        return [(0.0, 'nearest'), (1.0, 'farthest')]
    metres = range(int(FAR) + 1)
    return [(m / FAR, f'{m} m' + ('+' if m == FAR else '')) for m in metres]


def scale_colours(count: int) -> np.ndarray:
    """Give the colour scale from near to far: uint8 (count, 3)."""
    colours: np.ndarray = _coloured(np.linspace(0.0, 1.0, count)[None])[0]
    return colours


def draw_depth(depth: DepthPicture, width: int, height: int) -> np.ndarray:
    """Draw depth: uint8 (height, width, 3); what is not known is striped."""
    known = np.isfinite(depth.values)
    near, far = 0.0, FAR
    if not depth.metric and known.any():
        some = depth.values[known]
        near, far = map(float, np.quantile(some[:: 1 + len(some) // _ENOUGH], _ENDS))
    weights = _resized(known.astype(np.float32), width, height)
    values = _resized(np.where(known, depth.values, 0.0).astype(np.float32), width, height)
    values /= np.maximum(weights, 1e-6)  # between pixels that are known alone
    values -= near
    values /= max(far - near, 1e-9)
    picture = _coloured(values)
    unknown = (weights < 0.5).astype(np.uint8)
    return cv2.copyTo(stripes(width, height), unknown, picture)


@lru_cache(maxsize=4)
def stripes(width: int, height: int) -> np.ndarray:
    """Draw nothing but what is not known: uint8 (height, width, 3), to be left as it is."""
    rows, columns = np.ogrid[:height, :width]
    picture: np.ndarray = np.array(_UNKNOWN, np.uint8)[(rows + columns) // _STRIPE % 2]
    return picture


def _resized(values: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)


def _coloured(shares: np.ndarray) -> np.ndarray:
    """Colour shares of the scale, float (H, W): uint8 (H, W, 3); near is red, far is blue."""
    levels = (255.5 - 255 * shares.clip(0.0, 1.0)).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
