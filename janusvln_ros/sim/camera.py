"""The robot's camera: where it sits, what it sees, how it spoils the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
import math

import cv2
import numpy as np


@dataclass(frozen=True)
class CameraModel:
    """A pinhole camera, looking forward along the robot's x axis."""

    width: int = 320  # pixels
    height: int = 240
    hfov: float = math.radians(79.0)  # radians, horizontal
    elevation: float = 1.25  # m, above the floor
    tilt: float = 0.0  # radians, positive looks down
    exposure: float = 1.0  # factor on brightness
    blur: float = 0.0  # pixels, sigma of a Gaussian at 320 pixels width
    noise: float = 0.0  # grey levels, sigma of the noise on each value

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.width < 16 or self.height < 16:
            raise ValueError(f'a camera needs 16 x 16 pixels, not {self.width} x {self.height}')
        if not 0.1 < self.hfov < 2.8:
            raise ValueError(f'hfov is in radians between 0.1 and 2.8, not {self.hfov}')

    @property
    def focal_length(self) -> float:
        """Give the focal length in pixels; pixels are square."""
        return self.width / (2 * math.tan(self.hfov / 2))

    def spoil(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """
        Apply exposure, blur and noise.

        rgb: uint8 (height, width, 3). Returns a picture of the same kind, the same one where
        nothing is to be done.
        """
        if self.exposure != 1.0:
            rgb = cv2.convertScaleAbs(rgb, alpha=self.exposure)
        if self.blur > 0.0:
            rgb = cv2.GaussianBlur(rgb, (0, 0), self.blur * self.width / 320)
        if self.noise > 0.0:
            # Drawn at a few random offsets from one table, because a normal per pixel takes 10 ms.
            values = _noise_table()
            start = int(rng.integers(len(values) - rgb.size)) if rgb.size < len(values) else 0
            noise = np.resize(values[start : start + rgb.size], rgb.shape)
            rgb = cv2.add(rgb, noise * np.float32(self.noise), dtype=cv2.CV_8U)
        return rgb


@lru_cache(maxsize=1)
def _noise_table() -> np.ndarray:
    """Give a million standard normal numbers, the same in every process, float32."""
    return np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)


def random_camera(rng: np.random.Generator, base: CameraModel | None = None) -> CameraModel:
    """Vary height, tilt, exposure, blur, noise and field of view around `base`, for training."""
    base = base or CameraModel()
    return replace(
        base,
        elevation=base.elevation + rng.uniform(-0.15, 0.15),
        tilt=base.tilt + math.radians(rng.uniform(-3.0, 5.0)),
        exposure=base.exposure * rng.uniform(0.75, 1.25),
        blur=rng.uniform(0.4, 1.0) if rng.random() < 0.5 else 0.0,
        noise=rng.uniform(1.0, 6.0) if rng.random() < 0.5 else 0.0,
        hfov=base.hfov + math.radians(rng.uniform(-5.0, 5.0)),
    )
