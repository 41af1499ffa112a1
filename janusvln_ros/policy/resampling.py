"""
PIL's antialiased bicubic resize of uint8 images as two matrix products: bit for bit the same.

PIL rounds its weights to fixed point, sums integers and rounds to uint8 after each axis. Here the
weights go in three parts of eight bits, so that all sums stay integers below 2^24, which float32
(and TF32, which multiplies with eleven bits) holds exactly in whatever order they are summed.
"""

from __future__ import annotations

import math

from janusvln_ros.policy.network.regions import Region
from janusvln_ros.policy.preprocessing import crop, height_first, resize, resized_height
import numpy as np
import torch

PRECISION_BITS = 32 - 8 - 2  # of PIL's fixed-point weights
SHIFTS = 0, 8, 16  # of the parts of a weight
MOST_TAPS = 256  # weights of one pixel for which the sums are exact
SUPPORT = 2.0  # reach of the bicubic kernel, in pixels


def bicubic(x: float) -> float:
    """Keys' cubic convolution kernel with a = -0.5, in PIL's order of operations."""
    a, x = -0.5, abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def weights(size: int, new_size: int) -> torch.Tensor:
    """
    Fixed-point weights of one axis: (new_size, size) int64.

    Raises ValueError for a reduction so strong that sums would not be exact.
    """
    scale = size / new_size
    stretch = max(scale, 1.0)
    matrix = torch.zeros(new_size, size, dtype=torch.int64)
    for index in range(new_size):
        centre = (index + 0.5) * scale
        first = max(0, int(centre - SUPPORT * stretch + 0.5))
        last = min(size, int(centre + SUPPORT * stretch + 0.5))
        if last - first > MOST_TAPS:
            raise ValueError(f'{size} pixels are too many to be reduced to {new_size}')
        row = [bicubic((x - centre + 0.5) * (1.0 / stretch)) for x in range(first, last)]
        total = 0.0
        for weight in row:
            total += weight
        for x, weight in enumerate(row, start=first):
            scaled = weight / total * (1 << PRECISION_BITS)
            matrix[index, x] = math.trunc(scaled + math.copysign(0.5, scaled))
    return matrix


class Axis:
    """Resamples the last axis of uint8 images."""

    def __init__(self, size: int, new_size: int, device: torch.device) -> None:
        whole = weights(size, new_size)
        low, middle = (whole >> shift & 255 for shift in SHIFTS[:-1])
        parts = torch.stack((low, middle, whole >> SHIFTS[-1]))
        self._parts = parts.flatten(0, 1).float().to(device)  # (3 * new_size, size)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """(..., size) uint8 to (..., new_size) uint8."""
        return _join(image.float() @ self._parts.T)


@Region
def _join(parts: torch.Tensor) -> torch.Tensor:
    """Put sums of the three parts (..., 3 * size) together, and round: (..., size) uint8."""
    low, middle, high = parts.to(torch.int32).unflatten(-1, (3, -1)).unbind(-2)
    total = low + (middle << SHIFTS[1]) + (high << SHIFTS[2])
    return (total + (1 << PRECISION_BITS - 1) >> PRECISION_BITS).clamp(0, 255).to(torch.uint8)


class Resampler:
    """Resizes uint8 images (H, W, 3) of one size to uint8 (height, width, 3), on a device."""

    def __init__(
        self, size: tuple[int, int], new_size: tuple[int, int], device: torch.device
    ) -> None:
        """Sizes are (width, height) in pixels."""
        self._axes = [
            (axis, Axis(size[axis], new_size[axis], device))
            for axis in ((1, 0) if height_first(size, new_size) else (0, 1))
            if size[axis] != new_size[axis]
        ]

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        planes = image.permute(2, 0, 1)
        for axis, resample in self._axes:
            planes = resample(planes.mT).mT if axis else resample(planes)
        return planes.permute(1, 2, 0)


class FrameUpload:
    """
    Brings frames of one size to the device, resized and cropped.

    On CUDA a frame is copied once, from pinned memory, and resized there; else Pillow does it.
    """

    def __init__(self, size: tuple[int, int], image_width: int, device: torch.device) -> None:
        """Size is (width, height) in pixels."""
        self._image_width, self._device, self._resampler = image_width, device, None
        if device.type == 'cuda':
            new_size = image_width, resized_height(*size, image_width)
            self._resampler = Resampler(size, new_size, device)
            self._pinned = torch.empty(size[1], size[0], 3, dtype=torch.uint8, pin_memory=True)

    def __call__(self, rgb: np.ndarray) -> torch.Tensor:
        """Frame uint8 (H, W, 3) to the device, for `resize`; where Pillow does that, done."""
        if self._resampler is None:
            return torch.from_numpy(resize(rgb, self._image_width)).to(self._device)
        np.copyto(self._pinned.numpy(), rgb)
        return self._pinned.to(self._device, non_blocking=True)

    def resize(self, frame: torch.Tensor) -> torch.Tensor:
        """Resize what this object brought: uint8 (h, w, 3)."""
        if self._resampler is None:
            return frame
        return crop(self._resampler(frame), self._image_width)
