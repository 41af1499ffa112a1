"""A camera without distortion: pixels as rays, the camera's and those that the encoder sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

PATCH = 14  # pixels


def resized_height(width: int, height: int, image_width: int) -> int:
    """
    Height in pixels of a frame (width, height) resized to `image_width`, before it is cropped.

    The order of operations matters: 640 x 480 gives 490 at width 644, by 34.50000000000001
    patches.
    """
    return PATCH * round((height * (image_width / width)) / PATCH)


@dataclass(frozen=True)
class Pinhole:
    """Numbers of a camera, in pixels, whose centres are at whole numbers."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        """Raise ValueError for numbers of no camera."""
        sizes = self.width, self.height, self.fx, self.fy
        if not all(map(math.isfinite, (*sizes, self.cx, self.cy))) or min(sizes) <= 0:
            raise ValueError(
                f'a camera of {self.width} x {self.height} pixels with fx {self.fx}, fy '
                f'{self.fy}, cx {self.cx}, cy {self.cy} is none: sizes and focal lengths are '
                'above 0'
            )

    @classmethod
    def of_field(cls, width: int, height: int, hfov: float) -> Pinhole:
        """Make a camera with square pixels that looks ahead; hfov: horizontal, radians."""
        focal = width / (2 * math.tan(hfov / 2))
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    @classmethod
    def calibrated(
        cls,
        size: tuple[int, int],
        matrix: Sequence[float],
        distortion: Sequence[float],
        picture: tuple[int, int],
    ) -> Pinhole:
        """
        Make the camera of a calibration as camera_info has it; sizes are (width, height).

        matrix: k, 3 x 3 by rows; distortion: d; picture: size of the picture that it is for.
        ValueError where such a calibration will not do.
        """
        if size != picture:
            raise ValueError(
                f'camera_info is for {size[0]} x {size[1]} pixels, the picture has '
                f'{picture[0]} x {picture[1]}'
            )
        if any(distortion):
            raise ValueError(
                'camera_info tells of distortion: give rectified pictures, with their camera_info'
            )
        return cls(*size, *map(float, (matrix[0], matrix[4], matrix[2], matrix[5])))

    def seen_by_encoder(self, image_width: int) -> Pinhole:
        """Describe the picture as the policy resizes it to `image_width`, and crops it."""
        height = resized_height(self.width, self.height, image_width)
        top = max(0, (height - image_width) // 2)
        x, y = image_width / self.width, height / self.height
        return replace(
            self,
            width=image_width,
            height=min(height, image_width),
            fx=self.fx * x,
            fy=self.fy * y,
            cx=(self.cx + 0.5) * x - 0.5,
            cy=(self.cy + 0.5) * y - 0.5 - top,
        )

    def rays(self) -> np.ndarray:
        """Give each pixel's direction, one ahead: float64 (height, width, 3), optical frame."""
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return np.stack(
            ((u - self.cx) / self.fx, (v - self.cy) / self.fy, np.ones(u.shape)), axis=-1
        )

    def points(self, depth: np.ndarray) -> np.ndarray:
        """Put depth (height, width) along the axis into space: (height, width, 3)."""
        if depth.shape != (self.height, self.width):
            raise ValueError(
                f'depth of {depth.shape[1]} x {depth.shape[0]} pixels for a camera of '
                f'{self.width} x {self.height}'
            )
        return depth[..., None] * self.rays()


def downward(tilt: float, roll: float = 0.0) -> np.ndarray:
    """Give gravity's direction in the optical frame; tilt: down, roll: to the right, rad."""
    return np.array(
        [math.sin(roll) * math.cos(tilt), math.cos(roll) * math.cos(tilt), math.sin(tilt)]
    )


def as_encoder_sees(picture: np.ndarray, image_width: int) -> np.ndarray:
    """Take of a picture (H, W, …) the pixels nearest to those that the encoder sees."""
    height, width = picture.shape[:2]
    seen = Pinhole(width, height, 1.0, 1.0, 0.0, 0.0).seen_by_encoder(image_width)
    rows, columns = (
        np.rint((np.arange(n) - start) / step).astype(int).clip(0, most - 1)
        for n, start, step, most in (
            (seen.height, seen.cy, seen.fy, height),
            (seen.width, seen.cx, seen.fx, width),
        )
    )
    return picture[rows[:, None], columns]


def as_camera_sees(values: np.ndarray, width: int, height: int) -> np.ndarray:
    """
    Give what the encoder's pixels have, float (h, w), to the camera's that are nearest to them.

    Returns (height, width); what of the picture the encoder does not see is NaN.
    """
    seen = Pinhole(width, height, 1.0, 1.0, 0.0, 0.0).seen_by_encoder(values.shape[1])
    rows, columns = (
        np.rint(np.arange(n) * step + start).astype(int)
        for n, start, step in ((height, seen.cy, seen.fy), (width, seen.cx, seen.fx))
    )
    spread = values[rows.clip(0, len(values) - 1)[:, None], columns.clip(0, values.shape[1] - 1)]
    return np.where(((rows >= 0) & (rows < len(values)))[:, None], spread, np.nan)
